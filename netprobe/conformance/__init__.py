"""Does a cluster implement NetworkPolicy? Hundreds of cases with known answers, and their runner.

rules.yaml         the rules of docs/semantics.md, each with its feature
cases/             hand-written cases, and the parts that families are generated from
world              the nine pods that all cases share; expectations as rows of text
case               a case and its steps; choosing cases by name and tag
load               the format of case files, and reading them
families           cases generated from a base policy by changing one part at a time
fixture_map        a case's relative names mapped to a fixture; which cells of a case are probed
case_fixture       one fixture: its objects, changes, canaries, and probing until stable
case_pods          pods, a namespace and open connections that a case has while its policies are in force
runner             runs cases on several fixtures in parallel, on the cluster of a command
result             results of cases and of a run; exit status
baseline           expected failures, past runs and a baseline, and what changed since
shard              JSON reports of several shards joined into one
"""
