"""Programs in pods: what they are, what they see, what they cannot do, and how they end."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import select
import signal
from pathlib import Path

import pytest

from netprobe.errors import LabError
from netprobe.lab.fabric import sandbox
from netprobe.lab.fabric.network import LabNetwork
from netprobe.model.flow import PodRef
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import World, run

POD = PodRef("x", "web")
NOBODY = "65534"


async def shell(network: LabNetwork, script: str, ref: PodRef = POD, stdin: bytes | None = None) -> str:
    """Standard output of a script that must succeed."""
    status, out, err = await run(network, ref, "sh", "-c", script, stdin=stdin)
    assert status == 0, err
    return out


async def count(network: LabNetwork, ref: PodRef = POD) -> int:
    """How many processes a pod has, next to its first and the one that counts."""
    _, listed, _ = await run(network, ref, "ls", "/proc")
    return len([name for name in listed.split() if name.isdigit()]) - 2


async def until(condition: str, network: LabNetwork, ref: PodRef = POD) -> None:
    async with asyncio.timeout(60):
        while (await run(network, ref, "sh", "-c", condition))[0] != 0:
            pass


@in_a_lab()
async def test_an_exec_is_nobody_and_can_become_nobody_else(network: LabNetwork) -> None:
    await World(network).add("x/web")
    assert (await shell(network, "id -u; id -g; id -G")).split() == [NOBODY] * 3
    status = await shell(network, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert set(fields["Uid"].split() + fields["Gid"].split()) == {NOBODY}
    assert set(fields["Groups"].split()) <= {NOBODY}
    attempts = ("mount -t tmpfs x /tmp", "ip link set eth0 down", "ip route del default", "nft list ruleset")
    for attempt in attempts:
        assert (await run(network, POD, "sh", "-c", attempt))[0] != 0, attempt
    assert (await shell(network, "ip -br link")).count("UP") >= 1


@in_a_lab()
async def test_nothing_of_the_machine_can_be_written_or_looked_into(network: LabNetwork) -> None:
    await World(network).add("x/web")
    folders = ("", "/usr", "/usr/local", "/etc", "/dev", "/pod")
    for path in (*(f"{folder}/x" for folder in folders), "/etc/hosts", "/proc/sys/net/ipv4/ip_forward"):
        status, _, complaint = await run(network, POD, "sh", "-c", f"echo 1 > {path}")
        assert status != 0, path
        assert "Read-only file system" in complaint or "Permission denied" in complaint
    assert set((await shell(network, "ls /")).split()) <= {
        *("agnhost", "bin", "sbin", "usr", "lib", "lib32", "lib64", "libx32"),
        *("dev", "etc", "pod", "proc", "tmp"),
    }
    assert await shell(network, "find / -xdev -path /dev -prune -o -writable -type f -print") == ""
    assert await shell(network, "echo ok > /tmp/mine && cat /tmp/mine > /dev/null && ls /tmp") == "mine\n"
    environment = dict(line.split("=", 1) for line in (await shell(network, "env")).split())
    assert environment.pop("PWD") == "/"
    assert environment.pop("HOSTNAME") == "web"
    assert environment.keys() <= {"PATH", "HOME", "_", "SHLVL", "OLDPWD"}


@in_a_lab()
async def test_processes_and_files_of_a_pod_are_its_own(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/web")
    other = await world.add("y/other")
    sleeper = await network.exec(POD, ["sleep", "1000"])
    await until("grep -qa '[1]000' /proc/[0-9]*/cmdline", network)
    assert await count(network) == 1  # two execs of a pod see each other
    assert await count(network, other) == 0
    sleeper.kill()
    assert await sleeper.wait() == 137
    await shell(network, "echo secret > /tmp/secret")
    assert (await run(network, other, "cat", "/tmp/secret"))[0] == 1
    assert await shell(network, "cat /tmp/secret") == "secret\n"
    assert await shell(network, "hostname; cat /etc/hostname") == "web\nweb\n"
    assert f"{world.address('y/other')}\tother\n" in await shell(network, "cat /etc/hosts", other)
    assert "search y.svc.cluster.local" in await shell(network, "cat /etc/resolv.conf", other)
    assert "localhost" in await shell(network, "getent hosts localhost")


STATUSES = {
    ("true",): 0,
    ("sh", "-c", "exit 3"): 3,
    ("sh", "-c", "kill -TERM $$"): 143,
    ("sh", "-c", "kill -KILL $$"): 137,
    ("sh", "-c", "no-such-program"): 127,
}
NOT_STARTED = {
    ("no-such-program",): 'exec: "no-such-program": executable file not found in $PATH',
    ("/no/such/program",): 'exec: "/no/such/program": stat /no/such/program: no such file or directory',
    ("/etc/passwd",): 'exec: "/etc/passwd": permission denied',
    ("/usr",): 'exec: "/usr": permission denied',
    (): "the command is empty",
    ("a\0b",): "the command is empty",
}


@in_a_lab()
async def test_exit_statuses_are_those_of_a_container_runtime(network: LabNetwork) -> None:
    world = World(network)
    with pytest.raises(LabError, match="no pod x/web"):
        await network.exec(POD, ["true"])
    await world.place("x/web")
    with pytest.raises(LabError, match="not running yet"):
        await network.exec(POD, ["true"])
    await network.start(POD)
    seen = {argv: (await run(network, POD, *argv))[0] for argv in STATUSES}
    assert seen == STATUSES
    for argv, reason in NOT_STARTED.items():
        for tty in (False, True):
            with pytest.raises(LabError, match=re.escape(reason)):
                await network.exec(POD, argv, tty=tty)


@in_a_lab()
async def test_streams_carry_megabytes_both_ways_and_end(network: LabNetwork) -> None:
    await World(network).add("x/web")
    data = os.urandom(1 << 20).hex().encode()
    status, out, err = await run(network, POD, "sh", "-c", "tee /dev/stderr", stdin=data)
    assert (status, out, err) == (0, data.decode(), data.decode())
    long = "x" * 120_000
    assert await shell(network, f"printf %s {long}") == long
    status, out, _ = await run(network, POD, "cat")  # without standard input it is at its end
    assert (status, out) == (0, "")
    assert await shell(network, "yes | head -n 1") == "y\n", "a broken pipe ends a program"
    seen = await asyncio.gather(*(run(network, POD, "echo", str(n)) for n in range(100)))
    assert seen == [(0, f"{n}\n", "") for n in range(100)]


@in_a_lab()
async def test_a_terminal_has_a_name_a_size_and_an_end(network: LabNetwork) -> None:
    await World(network).add("x/web")
    process = await network.exec(POD, ["sh"], stdin=True, tty=True)
    assert process.stderr is None
    assert process.stdin is not None
    process.resize(101, 33)
    process.stdin.write(b"test -t 0 && stty size; echo $TERM; tty; echo to-$((40+2)) > /dev/tty; exit 7\n")
    text = (await process.stdout.read()).decode()
    assert "33 101\r\n" in text
    assert "xterm\r\n/dev/pts/0\r\n" in text
    assert "to-42\r\n" in text
    assert await process.wait() == 7
    process.resize(80, 24)  # too late, and no error
    sleeper = await network.exec(POD, ["sleep", "1000"], stdin=True, tty=True)
    assert sleeper.stdin is not None
    await until("grep -qa '[1]000' /proc/[0-9]*/cmdline", network)
    sleeper.stdin.write(b"\x03")  # Ctrl-C
    assert await sleeper.wait() == 130


@in_a_lab()
async def test_kill_takes_the_whole_family(network: LabNetwork) -> None:
    await World(network).add("x/web")
    script = "(sleep 1001 & sleep 1002 &) ; (setsid sleep 1003 > /dev/null 2>&1 &) ; sh -c 'sleep 1004; true'"
    process = await network.exec(POD, ["sh", "-c", script])
    sleepers = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o '[s]leep 100[1-4]' | sort -u | wc -l"
    await until(f"test $({sleepers}) = 4", network)
    process.kill()
    assert await process.wait() == 137
    async with asyncio.timeout(60):
        while await count(network) != 1:
            pass
    assert "1003" in await shell(network, "cat /proc/[0-9]*/cmdline")  # a session of its own


@in_a_lab()
async def test_execs_that_are_killed_or_left_while_they_start_hold_nothing(network: LabNetwork) -> None:
    await World(network).add("x/web")
    await shell(network, "true")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (a count)
    for _ in range(10):
        flood = await network.exec(POD, ["yes"], stdin=True)
        assert await flood.stdout.readexactly(2) == b"y\n"
        flood.kill()
        assert await flood.wait() == 137
    for yields in range(30):
        start = asyncio.ensure_future(network.exec(POD, ["sleep", "1007"], stdin=True))
        for _ in range(yields):
            await asyncio.sleep(0)
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        if not start.cancelled():
            start.result().kill()
    async with asyncio.timeout(60):
        while any("sleep\x001007" in text for text in _command_lines()):
            await shell(network, "true")
        while len(os.listdir("/proc/self/fd")) > before + 1:  # noqa: PTH208
            await shell(network, "true")


@in_a_lab()
async def test_a_pod_has_limits_and_no_keys_or_user_namespaces(network: LabNetwork) -> None:
    await World(network).add("x/web")
    assert (await run(network, POD, "unshare", "--user", "true"))[0] != 0
    assert (await shell(network, "cat /proc/sys/user/max_user_namespaces")).strip() == "0"
    assert (await run(network, POD, "dd", "if=/dev/zero", "of=/dev/null", "bs=3G", "count=1"))[0] != 0
    assert int(await shell(network, "cat /proc/sys/kernel/shmall")) * 4096 <= 16 << 20
    keys = await shell(network, "cat /proc/keys || true")
    assert not [line for line in keys.splitlines() if "_ses" in line and "netprobe-test" in line]


@in_a_lab()
async def test_a_fork_bomb_fills_its_own_pod_alone_and_goes_with_it(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/web")
    other = await world.add("x/other")
    many = sandbox._LIMITS[resource.RLIMIT_NPROC] + 50
    script = f"i=0; while [ $i -lt {many} ]; do sleep 1000 & i=$((i+1)); done; wait"
    bomb = await network.exec(POD, ["sh", "-c", script])
    assert bomb.stderr is not None
    assert b"annot fork" in await bomb.stderr.readuntil(b"annot fork")
    assert (await run(network, other, "sh", "-c", "sleep 0 & wait"))[0] == 0
    daemon = await network.exec(other, ["sh", "-c", "setsid sleep 1000 & sleep 1006"])
    await until("grep -qa '[1]006' /proc/[0-9]*/cmdline", network, other)
    await network.remove(POD)
    await network.remove(other)
    assert await daemon.wait() == 137
    assert not any("sleep\x00100" in text for text in _command_lines())
    await network.remove(POD)  # twice is not an error


def _command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@in_a_lab()
async def test_a_sandbox_whose_first_process_was_killed_is_made_again(network: LabNetwork) -> None:
    await World(network).add("x/web")
    await shell(network, "true")
    sandbox = network._pods[POD].sandbox
    assert sandbox._first is not None
    os.kill(sandbox._pid, signal.SIGKILL)
    select.select([sandbox._first], [], [], 10)
    assert await shell(network, "echo again") == "again\n"
