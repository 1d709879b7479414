"""Labs start, run at the same time, and leave nothing behind, however they end."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe import lab
from netprobe.errors import LabError, UsageError
from netprobe.lab.fabric import sandbox, spawner
from netprobe.lab.home import Home, Identity
from netprobe.lab.options import LabOptions
from tests.lab import rootless
from tests.lab.playground import on, pod

pytestmark = pytest.mark.lab
_LONG_S = 30


@pytest.fixture(autouse=True)
def _possible() -> None:
    if os.geteuid() != 0 and Path("/proc/sys/user/max_user_namespaces").read_text().strip() == "0":
        pytest.skip("this machine forbids user namespaces")


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a lab that is ended afterwards, whatever became of it."""
    chosen = f"test-{os.urandom(4).hex()}"
    yield chosen
    if Home.named(chosen).path.exists():
        lab.stop(chosen)


def run_pods(where: lab.Lab, count: int) -> list[str]:
    """Create pods; their addresses, once all of them run."""
    names = [f"default/p{number}" for number in range(count)]
    with on(where) as made:
        made.apply("".join(pod(name, "80") for name in names))
        return [made.address(name) for name in names]


def traces() -> dict[str, Any]:
    """What a lab could leave on this machine outside its own folder."""
    ruleset = subprocess.run(
        [shutil.which("nft", path=sandbox.PATH) or "nft", "list", "ruleset"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return {
        "links": sorted(os.listdir("/sys/class/net")),  # noqa: PTH208 (names)
        "named namespaces": sorted(os.listdir("/run/netns")) if Path("/run/netns").exists() else [],  # noqa: PTH208
        "tables": [line for line in ruleset.splitlines() if line.startswith("table") and "netprobe" in line],
        "mounts": sorted(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()
                         if "netprobe/labs" in line),
    }  # fmt: skip


def processes_of(pid: int) -> set[int]:
    """A lab's processes: its first and all that descend from it."""
    found, waiting = set(), [pid]
    while waiting:
        one = waiting.pop()
        found.add(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            waiting += [int(word) for word in children.read_text().split()]
    return found


def gone(pids: set[int]) -> bool:
    """Whether all these processes have ended, soon: killing is not instant."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended = select.select([handle], [], [], _LONG_S)[0]
        os.close(handle)
        if not ended:
            return False
    return True


def listening(kubeconfig: Path) -> list[str]:
    """The addresses on which the machine listens on the port of a lab's API."""
    server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    port = int(server.rpartition(":")[2])
    ends = [
        line.split()[1].split(":")
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    return [
        socket.inet_ntoa(bytes.fromhex(address)[::-1]) if len(address) == 8 else address
        for address, number in ends
        if int(number, 16) == port
    ]


def test_a_named_lab_comes_is_listed_and_goes_and_another_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("argparse", "socket", "netprobe"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    before = traces()
    with (
        lab.start(LabOptions(ip_families=("ipv6",)), ephemeral=True) as other,
        lab.start(LabOptions(name)) as one,
    ):
        assert Path(f"/proc/{one.pid}/cwd").readlink() == Path("/")
        assert os.getsid(one.pid) != os.getsid(0), "Ctrl-C in the terminal does not reach it"
        assert one.kubeconfig.stat().st_mode & 0o777 == 0o600
        assert one.kubeconfig.parent.stat().st_mode & 0o777 == 0o700
        assert listening(one.kubeconfig) == ["127.0.0.1"]
        run_pods(one, 3)
        assert run_pods(other, 1)[0].startswith("fd00:10:244:1:")
        found = {each.name: each for each in lab.list_labs()}
        assert found[name].pid == one.pid
        assert found[name].health is lab.Health.RUNNING
        assert found[name].options == one.options
        with pytest.raises(LabError, match=f"a lab named {name} is running"):
            lab.start(LabOptions(name))
        processes = processes_of(one.pid)
        assert len(processes) >= 2
        assert traces() == before  # even a running lab changes nothing in the machine's own network
        one.stop()
        assert gone(processes)
        assert not one.kubeconfig.parent.exists()
        assert name not in {each.name for each in lab.list_labs()}
        with on(other) as made:
            assert made.address("default/p0")
    assert traces() == before  # to stop one twice is not an error
    with pytest.raises(UsageError, match=f"no lab named {name}"):
        lab.stop(name)


@pytest.mark.parametrize("which", ["first process", "daemon"])
def test_a_killed_lab_leaves_only_a_folder_which_is_removed_next(name: str, which: str) -> None:
    before = traces()
    one = lab.start(LabOptions(name, nodes=2))
    run_pods(one, 3)
    processes = processes_of(one.pid)
    daemon = min(processes - {one.pid})
    os.kill(one.pid if which == "first process" else daemon, signal.SIGKILL)
    assert gone(processes)
    assert traces() == before
    assert one.kubeconfig.parent.exists()
    if which == "daemon":
        lab.stop(name)
    else:
        assert name not in {other.name for other in lab.list_labs()}
    assert not one.kubeconfig.parent.exists()


EPHEMERAL = """
import sys, time
from netprobe import lab
one = lab.start(lab.LabOptions(), ephemeral=True)
print(one.pid, one.name, flush=True)
sys.stdin.read()
"""


def test_an_ephemeral_lab_ends_with_its_parent() -> None:
    before = traces()
    with subprocess.Popen(
        [sys.executable, "-c", EPHEMERAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, name = parent.stdout.readline().split()
        processes = processes_of(int(pid))
        assert len(processes) >= 2
        assert name.startswith("run-")
        parent.kill()
    assert gone(processes)
    assert not Home.named(name).path.exists()
    assert traces() == before


def test_a_reused_pid_is_not_taken_for_a_lab(name: str) -> None:
    home = Home.named(name)
    home.create(LabOptions(name), os.getpid())
    assert home.alive()
    identity = Identity.of(os.getpid())
    assert identity is not None
    (home.path / "process.json").write_text(
        json.dumps({"pid": identity.pid, "started": identity.started - 1})
    )
    assert not home.alive()
    lab.stop(name)  # removes the folder, and ends no process: this one still runs
    assert not home.path.exists()


def test_a_damaged_folder_is_a_dead_lab(name: str) -> None:
    home = Home.named(name)
    home.create(LabOptions(name), os.getpid())
    for damage in ("", "{}", "[]", '{"pid": "x", "started": null}'):
        (home.path / "process.json").write_text(damage)
        assert not home.alive()
    assert name not in {other.name for other in lab.list_labs()}
    assert not home.path.exists()


def test_the_state_folder_must_be_ours_alone() -> None:
    with rootless.home() as home:
        (home / "netprobe").mkdir()
        (home / "netprobe").chmod(0o777)
        said = python(home, "from netprobe import lab\nprint(lab.list_labs())")
    assert "LabError: the lab cannot keep its state in" in said.stderr


def python(home: Path, script: str, *, first: str = "true") -> subprocess.CompletedProcess[str]:
    """Run Python as an ordinary user."""
    command = [*rootless.prefix(home, first=first), sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_an_ordinary_user_has_labs_too() -> None:
    script = """
import os
from netprobe import lab
from netprobe.lab.home import Home
assert os.geteuid() != 0
with lab.start(lab.LabOptions("mine")) as one:
    assert one.kubeconfig.exists()
    assert [other.name for other in lab.list_labs()] == ["mine"]
    print("ran", one.kubeconfig)
assert not lab.list_labs()
"""
    with rootless.home() as home:
        said = python(home, script)
        assert said.stdout == f"ran {home}/netprobe/labs/mine/kubeconfig\n", said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to forbid user namespaces")
def test_forbidden_user_namespaces_are_one_sentence() -> None:
    """In a user namespace that may hold no other: the nearest to a machine that forbids them."""
    forbid = "echo 0 > /proc/sys/user/max_user_namespaces"
    script = "from netprobe import lab\nlab.start(lab.LabOptions('no'))"
    with rootless.home() as home:
        outer = ["unshare", "--user", "sh", "-c", 'echo here; read go; exec "$@"', "sh"]
        command = [*outer, *rootless.prefix(home, first=forbid), sys.executable, "-c", script]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as inner:
            assert inner.stdout is not None
            assert inner.stdout.readline() == "here\n"
            for kind in ("uid_map", "gid_map"):
                Path(f"/proc/{inner.pid}/{kind}").write_text("0 0 65536")
            _, said = inner.communicate("go\n", timeout=120)
        assert said.splitlines()[-1] == (
            "netprobe.errors.LabError: the lab needs user namespaces, which this machine forbids: "
            "/proc/sys/user/max_user_namespaces is 0"
        )
        assert not (home / "netprobe/labs/no").exists()


def test_missing_programs_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleep").symlink_to("/bin/sleep")
    monkeypatch.setattr(sandbox, "PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"`nft` \(Debian package nftables\) and `nc` \(Debian package netcat"):
        spawner.require_tools()


BAD_OPTIONS: list[dict[str, Any]] = [
    *({"name": name} for name in ("", "../up", "Upper", "-x", "x" * 41)),
    *({"nodes": nodes} for nodes in (0, 201)),
    *({"ip_families": families} for families in ((), ("ipv4", "ipv4"), ("ipx",))),
    *({"lag_s": lag} for lag in (-1.0, float("nan"))),
    {"deny_with": "shrug"},
]


def test_options_out_of_range_are_usage_errors() -> None:
    for options in BAD_OPTIONS:
        with pytest.raises(UsageError) as caught:
            LabOptions(**options)
        assert "\n" not in str(caught.value), options
    with pytest.raises(UsageError):
        lab.stop("../labs")
