"""Who may import whom. The layers are the method: see "One code path" in docs/architecture.md."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import netprobe

ROOT = Path(netprobe.__file__).parent
PURE = {"errors", "model"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": {"errors"},
    "manifests": PURE,
    "suite": PURE | {"manifests"},
    "simulate": PURE,
    "diff": PURE,
    "probe": PURE,
    "explain": PURE | {"simulate"},
    "survey": PURE | {"simulate", "diff"},
    "lint": PURE | {"simulate"},
    "graph": PURE | {"simulate", "diff"},
    "impact": PURE | {"simulate"},
    "generate": PURE | {"simulate"},
    "conformance": PURE | {"manifests", "simulate", "diff", "probe"},
    "doctor": PURE | {"probe"},
    "kind": PURE,
    "kube": PURE | {"probe"},  # implements probe's Protocols
    "report": PURE | {"conformance", "diff", "doctor", "impact", "lint"},
    "lab": PURE | {"manifests"},  # never simulate, probe or kube: see the sentence below
}
MAY_IMPORT["campaign"] = {*MAY_IMPORT} - {"conformance", "generate", "graph", "impact", "kind", "lint"}
"""`lab` never imports `simulate`: that they agree is evidence only if policy is worked out twice.
`probe` never sees an expectation, so it imports neither `suite` nor `diff`."""

ONLY_IMPORTER = {"kubernetes": "kube", "tabulate": "report", "pyroute2": "lab", "click": "cli"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if layer not in {"cli", "__init__", "__main__"}:
            yield layer, path


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize(
    ("layer", "path"), [pytest.param(*m, id=str(m[1].relative_to(ROOT))) for m in modules()]
)
def test_a_layer_imports_only_what_it_may(layer: str, path: Path) -> None:
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "netprobe":
            target = rest.split(".")[0]
            own = {layer, "__version__"}
            assert target in MAY_IMPORT[layer] | own, f"{layer} may not import {name}"
        elif package in ONLY_IMPORTER:
            assert layer == ONLY_IMPORTER[package], f"only {ONLY_IMPORTER[package]} imports {package}"


def test_every_layer_is_listed() -> None:
    assert {layer for layer, _ in modules()} <= MAY_IMPORT.keys()


def test_model_imports_the_standard_library_only() -> None:
    for layer, path in modules():
        if layer == "model":
            foreign = {n.split(".")[0] for n in imported(path)} - sys.stdlib_module_names - {"netprobe"}
            assert not foreign, f"{path}: {foreign}"
