"""Pictures of synthetic clusters: from records to the text of a page, an SVG and mermaid.

    python benchmarks/bench_graph.py [--quick]

Times are CPU times, reading of manifests not included. The last cluster is drawn by namespace, since nobody
reads ten thousand boxes. The ratio is the time of deciding every pair on every port one by one (timed on a
sample, and multiplied) over that of the page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.synthetic import seeded, synthetic
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.report import GRAPH_FORMATS
from netprobe.report.graph import Graph, GraphOptions
from netprobe.report.graph.inputs import GraphRequest, graph_of_manifests
from netprobe.simulate import KUBE_NETWORK_POLICIES, Simulator

SIZES = [(15, 20, 4), (200, 200, 10), (10000, 4000, 200), (10000, 4000, 2)]  # pods, policies, namespaces
FORMATS = ("html", "svg", "mermaid")
SAMPLE = 2_000


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark of graph")
    parser.add_argument("--quick", action="store_true", help="only the small sizes")
    options = parser.parse_args()
    print("  pods  policies  namespaces  boxes  arrows  build s  html s  html kB  svg s  mermaid s    ratio")
    for pods, policies, namespaces in SIZES[:2] if options.quick else SIZES:
        cluster = synthetic(pods, policies, namespaces)
        began = process_time()
        graph = picture(cluster)
        built = process_time() - began
        times, sizes = {}, {}
        for form in FORMATS:
            began = process_time()
            sizes[form] = sum(len(piece) for piece in GRAPH_FORMATS.render(graph, form))
            times[form] = process_time() - began
        ports = sum(len(pod.ports) for pod in cluster.pods.values())
        ratio = obvious(cluster) * (pods - 1) * ports / (built + times["html"])
        print(
            f"{pods:6}  {policies:8}  {namespaces:10}  {len(graph.nodes):5}  {len(graph.edges):6}  "
            f"{built:7.2f}  {times['html']:6.2f}  {sizes['html'] / 1000:7.0f}  {times['svg']:5.2f}  "
            f"{times['mermaid']:9.2f}  {ratio:7,.0f}",
            flush=True,
        )
    return 0


def picture(cluster: Cluster) -> Graph:
    """As `netprobe graph -f -o html` makes it, but without suggested changes."""
    request = GraphRequest(GraphOptions(), KUBE_NETWORK_POLICIES, explain=True)
    return graph_of_manifests(request, cluster)


def obvious(cluster: Cluster) -> float:
    """Seconds to decide one flow, on random pairs."""
    rng = seeded(3)
    simulator, refs = Simulator(cluster), list(cluster.pods)
    pairs = [rng.sample(refs, 2) for _ in range(SAMPLE)]
    flows = [Flow(one, other, 8080, family=4) for one, other in pairs]
    began = process_time()
    for flow in flows:
        simulator.decide(flow)
    return (process_time() - began) / SAMPLE


if __name__ == "__main__":
    sys.exit(main())
