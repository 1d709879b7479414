"""In-place runs: pods next to existing workloads, which must not be disturbed.

surroundings     what is read of the cluster before anything is made
shadows          the shadow pods and everything else that the run creates       pure
conflicts        who would see a shadow pod, and whether that does harm          pure
quota            what a quota has left once shadow pods are counted              pure
guest_workbench  makes it all, and removes it                                    GuestWorkbench
"""
