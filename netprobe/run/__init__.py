"""A run, from the command to the report.

driver      the one driver: open the cluster, plan, make pods, probe each moment, compare, report
fixture     mode: a suite with its own pods
in_place    mode: a suite and the pods that are in the cluster (in_place_plan, route)
copy        mode: policies tried on copies of pods that are in the cluster (copied)
steps       compares and explains, also without a cluster: the steps of a report; resolves differences
record      the report as plain data; `netprobe.report` turns it into text
cluster     what all modes have in common; opens the cluster (target)
running_lab what commands do with a lab: external hosts, traces
"""
