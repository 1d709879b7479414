"""One run, from what is asked to the report: the order of things, and nothing else.

    fixture   a suite with pods of its own: netprobe run SUITE
    visit     a suite and the pods that are there: run --in-place
    trial     policies tried in a copy of what is there: run --in-place --shadow-namespace
    target    the cluster that is meant, opened: a kubeconfig's, a lab, or a lab made for the run

The layers below know each other as little as they can; here they are put together. What is said meanwhile
goes to a function that the command line gives.
"""
