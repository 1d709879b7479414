"""Who may import whom: docs/architecture.md, "Packages"."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import netprobe

ROOT = Path(netprobe.__file__).parent

ORDER = (
    "errors",
    "model",
    "policies",
    "manifests",
    "suite",
    "simulate",
    "probe",
    "kube",
    "diff",
    "explain",
    "lint",
    "impact",
    "generate",
    "doctor",
    "lab",
    "kind",
    "run",
    "conformance",
    "debug",
    "report",
    "history",
    "api",
    "pytest_plugin",
    "cli",
)
"""A package imports only packages that come before it."""

NEVER = {
    # That the lab and the simulator agree is evidence only while policy is worked out twice.
    "lab": {"suite", "simulate", "probe", "kube", "diff", "explain", "lint", "impact", "generate", "doctor"},
    # A prober that knows the expected answer would find it.
    "probe": {"suite", "diff"},
    "kube": {"suite", "diff"},
}

ONLY_IMPORTER = {"kubernetes": "kube", "tabulate": "report", "pyroute2": "lab", "click": "cli"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        package = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if package not in {"__init__", "__main__"}:
            yield package, path


IMPORT = re.compile(
    r"^ *(?:import (?P<whole>[\w.]+)|from (?P<package>[\w.]+) import (?P<names>.*))", re.MULTILINE
)


def imported(path: Path) -> set[str]:
    """What a module imports, at its top and in its functions: package and, of `netprobe` itself, the name."""
    found: set[str] = set()
    for match in IMPORT.finditer(path.read_text()):
        package = match["whole"] or match["package"]
        assert not package.startswith("."), f"{path}: relative import"
        if package == "netprobe":
            found |= {f"netprobe.{name.strip()}" for name in (match["names"] or "").split(",")}
        else:
            found.add(package)
    return found


def wrong_imports(package: str, path: Path) -> Iterator[str]:
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "netprobe":
            target = rest.split(".")[0]
            if target in {package, "__version__", "PROJECT_URL"}:
                continue
            if ORDER.index(target) > ORDER.index(package):
                yield f"{path.relative_to(ROOT)} imports {name}, which comes after {package}"
            if target in NEVER.get(package, ()):
                yield f"{path.relative_to(ROOT)} imports {name}: {package} never imports {target}"
        elif package != ONLY_IMPORTER.get(top, package):
            yield f"{path.relative_to(ROOT)} imports {name}: only {ONLY_IMPORTER[top]} imports {top}"
        elif package == "model" and top not in sys.stdlib_module_names:
            yield f"{path.relative_to(ROOT)} imports {name}: the model needs the standard library only"


def test_imports_go_downwards_only() -> None:
    assert sum(len(imported(path)) for _, path in modules()) > 2_000, "hardly any import was found"
    assert sorted(wrong for package, path in modules() for wrong in wrong_imports(package, path)) == []


def test_every_package_has_its_place() -> None:
    assert {package for package, _ in modules()} <= set(ORDER)
