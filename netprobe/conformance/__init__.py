"""Does a cluster implement NetworkPolicy? Hundreds of cases with known answers, and their runner.

rules.yaml         the rules of docs/semantics.md, each with its feature
cases/             hand-written cases, and the parts that families are generated from
world              the nine pods that all cases share; expectations as rows of text
case               a case and its steps; choosing cases by name and tag
schema, load       the format of case files, and reading them
families           cases generated from a base policy by changing one part at a time
cells              which cells of a case are probed
fixture_plan       the objects of a fixture: namespaces, nine pods, canaries
fixture_map        a case's relative names mapped to a fixture's namespaces, pods and addresses
case_fixture       one fixture: changes, canaries, and probing until stable
case_pods          pods, a namespace and open connections that a case has while its policies are in force
runner             runs cases on several fixtures in parallel
result             results of cases and of a run; exit status
baseline           expected failures, the baseline and past runs applied to the results
conformance_run    one run on the cluster of a command
shard              JSON reports of several shards joined into one
history            past runs, and what changed since
"""
