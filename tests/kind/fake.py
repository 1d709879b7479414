"""A fake `docker` and `kind`, called as `fake.py FOLDER docker|kind ARGUMENTS...`.

Every call is a line of FOLDER/calls. FOLDER/state.json is the state of the machine, which calls change.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

FOLDER = Path(sys.argv[1])
STATE = FOLDER / "state.json"
state: dict[str, Any] = json.loads(STATE.read_text())


def done(text: str = "", *, failure: str | None = None) -> NoReturn:
    STATE.write_text(json.dumps(state))
    sys.stdout.write(text)
    if failure is not None:
        sys.stderr.write(f"{failure}\n")
    sys.exit(failure is not None)


def nodes() -> list[list[str]]:
    return [[f"netprobe-{n}", "running", "worker" if n else "control-plane"] for n in range(3)]


def kubectl(arguments: list[str]) -> NoReturn:
    if not state["answers"]:
        done(failure="The connection to the server was refused")
    match arguments:
        case ["get", "nodes", "-o", "name"]:
            done("".join(f"node/{n}\n" for n in range(state["joined"])))
        case ["get", "--raw", "/readyz"]:
            done("ok")
        case ["-n", "kube-system", "get", "daemonset/kube-proxy", *_]:
            done(failure=None if state["addons"] else 'daemonsets.apps "kube-proxy" not found')
        case ["apply", *_]:
            state["applied"] = sys.stdin.read()
            done()
        case ["get", *_]:
            shown = state["shown"]
            done(json.dumps({"items": shown.pop(0) if len(shown) > 1 else shown[0]}))
    done(failure=f"unexpected: kubectl {arguments}")


def docker(arguments: list[str]) -> NoReturn:
    match arguments:
        case ["version", *_]:
            done("27.3.1\n", failure=state["daemon"])
        case ["ps", *_]:
            done("".join("\t".join(node) + "\n" for node in state["nodes"]))
        case ["start", *names]:
            state["nodes"] = [[n, "running" if n in names else s, r] for n, s, r in state["nodes"]]
            state["answers"] = True
            done()
        case ["exec", *rest]:
            kubectl(rest[rest.index("kubectl") + 3 :])
    done(failure=f"unexpected: docker {arguments}")


def kind(arguments: list[str]) -> NoReturn:
    match arguments:
        case ["version", *_]:
            done("0.29.0\n")
        case ["create", "cluster", *_] if state["create"] == "fails":
            done(failure="ERROR: failed to create cluster: no space left on device")
        case ["create", "cluster", *_]:
            state["nodes"] = nodes()
            if state["create"] == "hangs":
                STATE.write_text(json.dumps(state | {"create": "works"}))
                sys.stderr.write(" • Starting control-plane 🕹️  ...\n")
                sys.stderr.flush()
                signal.pause()
            state.update(answers=True, joined=3)
            done()
        case ["delete", "cluster", *_]:
            state.update(nodes=[], answers=False, joined=0)
            done()
        case ["load" | "export", *_]:
            done()
    done(failure=f"unexpected: kind {arguments}")


with (FOLDER / "calls").open("a") as log:
    log.write(json.dumps(sys.argv[2:]) + "\n")
(docker if sys.argv[2] == "docker" else kind)(sys.argv[3:])
