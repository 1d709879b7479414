"""kubectl exec, attach, cp, port-forward and logs against pods of the real fabric."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.lab.kubectl.conftest import DEADLINE_S, Kubectl, namespace

pytestmark = pytest.mark.lab

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]}
"""

DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""


@pytest.fixture(scope="module")
def pod(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A pod p that is ready, for all tests of this module."""
    with namespace(lab, tmp_path_factory.mktemp("files")) as kubectl:
        kubectl("apply", "-f", kubectl.file("pod.yaml", POD))
        kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
        yield kubectl


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_output_input_and_status(pod: Kubectl, websockets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a websocket, and over SPDY."""
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
    done = pod.run("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert pod("exec", "-i", "p", "--", "cat", stdin="hello\n") == "hello\n"
    many = "".join(f"line {number}\n" for number in range(50_000))
    assert pod("exec", "-i", "p", "-c", "c", "--", "cat", stdin=many) == many


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_a_terminal(pod: Kubectl, websockets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kubectl exec -it` in a terminal: a prompt, an echo, a size, an end."""
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
    ours, theirs = pty.openpty()
    command = pod.command("exec", "-it", "p", "--", "sh")
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as shell:
        os.close(theirs)
        os.write(ours, b"test -t 0 && echo terminal-$((40+2)); exit 7\n")
        text = _read(ours, "terminal-42")
        assert shell.wait(DEADLINE_S) == 7, text
    os.close(ours)


def _read(terminal: int, wanted: str) -> str:
    text = ""
    end = time.monotonic() + DEADLINE_S
    while wanted not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                text += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break
    assert wanted in text
    return text


def test_logs(pod: Kubectl) -> None:
    pod("apply", "-f", pod.file("q.yaml", POD.replace("{name: p}", "{name: q}")))
    pod("wait", "--for=condition=Ready", "pod/q", "--timeout=60s")
    message = "netprobe lab: images are not run; ports 80/TCP, 53/UDP are served\n"
    assert pod("logs", "q") == message
    command = pod.command("logs", "-f", "q")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == message
        pod("delete", "pod", "q")
        assert following.wait(DEADLINE_S) == 0


def test_attaching_to_a_pod_without_stdin_prints_one_sentence(pod: Kubectl) -> None:
    assert pod("attach", "p").splitlines() == [
        "netprobe lab: images are not run; ports 80/TCP, 53/UDP are served; kubectl run -i runs a command"
    ]


def test_a_port_is_forwarded_past_every_policy(pod: Kubectl) -> None:
    """By the pod's own loopback, as a kubelet does it."""
    pod("apply", "-f", pod.file("deny.yaml", DENY))
    pod("label", "pod", "p", "app=p")
    pod("expose", "pod", "p", "--port=8080", "--target-port=80", "--selector=app=p")
    command = pod.command("port-forward", "service/p", ":8080")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            line = forwarding.stdout.readline()
            ours = int(line.split(" -> ")[0].rpartition(":")[2])
            for text in (b"hello", b"again"):
                with socket.create_connection(("127.0.0.1", ours), timeout=DEADLINE_S) as connection:
                    connection.sendall(text)
                    assert connection.recv(5) == text
        finally:
            forwarding.kill()


def test_a_container_is_added_to_debug(pod: Kubectl) -> None:
    options = ("--image=busybox", "--profile=general", "-c", "shell", "-i")
    done = pod.run("debug", "p", *options, "--", "nc", "-zv", "127.0.0.1", "80")
    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stderr + done.stdout
    ended = pod.json("get", "pod", "p")["status"]["ephemeralContainerStatuses"]
    assert [(one["name"], one["state"]["terminated"]["exitCode"]) for one in ended] == [("shell", 0)]


def test_files_are_copied_both_ways(pod: Kubectl, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_text("content\n")
    pod("cp", str(there), "p:/tmp/there")
    assert pod("exec", "p", "--", "cat", "/tmp/there") == "content\n"
    pod("cp", "p:/tmp/there", str(back))
    assert back.read_text() == "content\n"
