"""The forms of FROM and TO, what is read without a cluster, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.debug.guests import read_listeners
from netprobe.debug.packets import resolved
from tests.debug.faults import FOLDER
from tests.manifest_text import documents, service, workload
from tests.run.netprobe import Ended, netprobe

FORMS = [
    # FROM, TO and the port -> the source, what the traffic ends at, and its port
    ("shop/web", "svc:shop/db", None, "shop/web", ["shop/db-0:5432", "shop/db-1:5432"]),
    ("shop/web", "shop/db", None, "shop/web", ["shop/db-0:5432", "shop/db-1:5432"]),
    ("shop/db-0", "shop/db-1", 80, "shop/db-0", ["shop/db-1:80"]),
    ("shop", "db", 5432, "shop/web", ["shop/db-0:5432", "shop/db-1:5432"]),
    ("shop/web", "db.shop", 5432, "shop/web", ["shop/db-0:5432", "shop/db-1:5432"]),
    ("shop/web", "db.shop.svc.cluster.local.", 5432, "shop/web", ["shop/db-0:5432", "shop/db-1:5432"]),
    ("shop/web", "db-1.db.shop.svc", 5432, "shop/web", ["shop/db-1:5432"]),
    ("shop/web", "postgres://db/orders", None, "shop/web", ["shop/db-0:5432", "shop/db-1:5432"]),
    ("shop/web", "http://[2001:db8::5]:8080/x", None, "shop/web", ["2001:db8::5:8080"]),
    ("shop/web", "203.0.113.5", 443, "shop/web", ["203.0.113.5:443"]),
    ("203.0.113.5", "svc:shop/db", None, None, ["shop/db-0:5432", "shop/db-1:5432"]),
]


def offline(*arguments: object, files: tuple[str, ...] = ()) -> Ended:
    paths = [word for name in ("shop", *files) for word in ("-f", FOLDER / f"{name}.yaml")]
    return netprobe("debug", *arguments, *paths)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[0]} to {form[1]}")
def test_a_form(form: tuple[str, str, int | None, str | None, list[str]]) -> None:
    source, destination, port, pod, ends = form
    more = ["--port", port] if port else []
    ended = offline(source, destination, *more, "-o", "json")
    answer = json.loads(ended.out)
    steps = {step["name"]: step for step in answer["steps"]}
    assert steps["source"]["evidence"].get("pod") == pod
    assert [leg["to"] for leg in steps["policies"]["evidence"]["legs"]] == ends
    assert (ended.status, answer["causes"], answer["connects"]) == (3, [], False)


READ = [
    # what manifests alone show
    (("dns-blocked",), ("shop/web", "db", "--port", 5432), ["dns-blocked"]),
    (("selector-without-pods",), ("shop/web", "svc:shop/store"), ["selector-without-pods"]),
    (("target-port-number",), ("shop/web", "svc:shop/store"), []),
    (("other-policy", "egress-policy"), ("shop/web", "svc:shop/db"), ["egress-policy", "other-policy"]),
]


@pytest.mark.parametrize(("files", "arguments", "causes"), READ)
def test_causes_that_manifests_show(
    files: tuple[str, ...],
    arguments: tuple[object, ...],
    causes: list[str],
) -> None:
    ended = offline(*arguments, "-o", "json", files=files)
    assert [one["cause"] for one in json.loads(ended.out)["causes"]] == causes
    assert ended.status == (1 if causes else 3)


def test_the_text_names_the_cause_the_fix_and_what_was_not_done() -> None:
    ended = offline("shop/web", "svc:shop/db", files=("ingress-policy",))
    lines = ended.out.splitlines()
    assert [line.split()[1] for line in lines[:7]] == [
        "source", "name", "service", "listener", "policies", "packets", "path",
    ]  # fmt: skip
    assert lines[4] == "problem  policies      denied: ingress by NetworkPolicy shop/db"
    assert lines[5] == "skipped  packets       manifests were read, not a cluster"
    assert lines[7].startswith("Cause: NetworkPolicy shop/db isolates shop/db-0 and shop/db-1 for ingress")
    assert lines[8].startswith("Fix:   ")


IDLE = documents(
    workload("Deployment", "api", "{app: api}", more="replicas: 0, "),
    service("selector: {app: api}, ports: [{port: 80}]", name="api"),
)


def test_a_service_of_an_idle_workload(tmp_path: Path) -> None:
    path = tmp_path / "idle.yaml"
    path.write_text(IDLE)
    ended = offline("shop/web", "svc:shop/api", "-f", path)
    assert "Deployment shop/api, whose pods it would match, has none" in ended.out
    assert ended.status == 1


def test_addresses_that_nc_prints() -> None:
    texts = {
        "10.96.0.10 (10.96.0.10:80) open": "10.96.0.10",
        "Connection to db (10.96.1.2) 5432 port [tcp/*] succeeded!": "10.96.1.2",
        "nc: db (10.96.1.2:5432): Connection refused": "10.96.1.2",
        "Connection to db (fd00:10:96::2) 5432 port [tcp/*] succeeded!": "fd00:10:96::2",
        "nc: bad address 'db'": None,
        "": None,
    }
    assert {text: resolved(text) for text in texts} == texts


def test_listening_sockets() -> None:
    lines = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid",
        "   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534",
        "   1: 0200F40A:18EC 0300F40A:0050 01 00000000:00000000 00:00000000 00000000 65534",
        "   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0",
    ]
    assert [(one.address, one.port, one.loopback) for one in read_listeners(lines)] == [
        ("127.0.0.1", 6379, True),
        ("::1", 80, True),
    ]
