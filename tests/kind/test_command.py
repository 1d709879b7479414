"""`netprobe kind`, and the configuration that it makes clusters from."""

from __future__ import annotations

from pathlib import Path

import yaml

from netprobe.kind import CALICO
from tests.kind.conftest import MANIFEST, Machine
from tests.run.netprobe import netprobe

ROOT = Path(__file__).parents[2]


def test_the_configuration_of_the_cluster() -> None:
    config = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    assert config["networking"] == {"disableDefaultCNI": True, "podSubnet": "192.168.0.0/16"}
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]


def test_the_images_to_bring_are_known_without_internet(tmp_path: Path) -> None:
    ended = netprobe("kind", "up", "--print-images")
    assert ended.out.split() == [*CALICO.images, "docker.io/library/alpine:3.20"]
    page = (ROOT / "docs" / "kind.md").read_text()
    assert "\n".join(CALICO.images) in page
    assert CALICO.url in page
    path = tmp_path / "plugin.yaml"
    path.write_text(MANIFEST)
    ended = netprobe("kind", "up", "--print-images", "--manifest", path, "--registry", "m.example")
    assert ended.out.split() == [
        "m.example/calico/cni:v1",
        "m.example/calico/node:v1",
        "m.example/library/alpine:3.20",
    ]


def test_up_ends_in_doctor_by_the_cluster_s_own_context(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "plugin.yaml"
    path.write_text(MANIFEST)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{apiVersion: v1, kind: Config, contexts: [], clusters: [], users: []}")
    ended = netprobe("kind", "up", "--manifest", path, "--kubeconfig", kubeconfig)
    assert machine.calls[-1].endswith("apply --server-side --force-conflicts -f -")
    assert "use it with netprobe run SUITE --context kind-netprobe" in ended.err
    assert "'kind-netprobe'" in ended.err, "doctor needs the context, which the fake kind did not write"
    assert ended.status == 2
    gone = netprobe("kind", "down", "--kubeconfig", kubeconfig)
    assert (gone.status, "removed the kind cluster netprobe" in gone.err) == (0, True)
    assert "there is no kind cluster netprobe" in netprobe("kind", "down").err


def test_a_failure_is_a_sentence_and_status_3(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "plugin.yaml"
    path.write_text(MANIFEST)
    machine.create = "fails"
    ended = netprobe("kind", "up", "--manifest", path)
    assert ended.status == 3
    assert "netprobe: cannot create the kind cluster netprobe: ERROR: failed" in ended.err
