"""Does a cluster implement NetworkPolicy? Hundreds of cases as data, and the runner that tries them.

rules.yaml         the rules of docs/semantics.md, each with its feature
cases/       the cases: hand-written ones, and the parts that families are made of
world        the nine pods that every case is about; rows of expectation
load         files -> cases, with all that is wrong with them
families     cases made by changing one part of a base at a time
site         a case's relative names -> namespaces, pods and addresses of a run
rig          one fixture: canaries, and probing until stable
plan         the objects of a fixture
late         pods that a case makes while its policies are there
held         connections that are kept open while a change is made
cells        which cells of its matrix a case asks for
choose       which cases are meant
runner       cases over several rigs side by side, tried again while the answer moves
tries        when a case was tried often enough
record       what was found
part         reports of runs of some of the cases, joined into one
known        failures that are expected, each with a reason and an end
history      one small file a run, and what changed since the last
"""
