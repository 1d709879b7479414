"""Changes one operator of the simulator after the other; some test of the simulator must fail for each.

    python -m tests.property.mutate [MODULE ...]       simulate/*.py and model/labels.py, or those named

Each mutant runs TESTS in a forked process, which never sees the original. Survivors are listed and
make the exit status 1. Mutants that no test can tell from the original carry `# mutant: equivalent` with
the reason in the source line above or next to them, and are left out.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "netprobe"

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Mult: ast.Add,
}
CALLS = {"any": "all", "all": "any", "min": "max", "max": "min"}
EQUIVALENT = "mutant: equivalent"
SIMULATE = sorted(f"simulate/{path.name}" for path in (PACKAGE / "simulate").glob("*.py"))
MODULES = [*SIMULATE, "model/labels.py"]
TESTS = ("tests/semantics", "tests/simulate", "tests/policies", "tests/property")


def sites(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that can be mutated, in a fixed order.

    Annotations, decorators and the `strict` of a zip, which only guards against mistakes, are left alone.
    """
    spared = _spared(tree)
    for node in ast.walk(tree):
        if id(node) in spared:
            continue
        match node:
            case ast.Compare() | ast.BoolOp():
                yield node
            case ast.BinOp(op=operator) if type(operator) in OPERATORS:
                yield node
            case ast.AugAssign(op=operator) if type(operator) in OPERATORS:
                yield node
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                yield node
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield node
            case ast.Constant(value=bool()):
                yield node


def _spared(tree: ast.AST) -> set[int]:
    """The ids of the nodes that are no operators of the program."""
    spared: set[int] = set()
    for node in ast.walk(tree):
        outside = [*getattr(node, "decorator_list", ())]
        outside += [getattr(node, name, None) for name in ("annotation", "returns")]
        if isinstance(node, ast.keyword) and node.arg == "strict":
            outside.append(node.value)
        spared |= {id(inner) for part in outside if part for inner in ast.walk(part)}
    return spared


def mutate(node: ast.AST) -> None:
    """Turn one operator into its neighbour, in place."""
    match node:
        case ast.Compare():
            node.ops = [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.BinOp() | ast.AugAssign():
            node.op = OPERATORS[type(node.op)]()
        case ast.UnaryOp():
            node.op = ast.UAdd() if isinstance(node.op, ast.Invert) else ast.Not()
            if isinstance(node.op, ast.Not):
                node.operand = ast.UnaryOp(ast.Not(), node.operand)
        case ast.Call(func=ast.Name(id=name)):
            node.func = ast.Name(CALLS[name], ast.Load())
        case ast.Constant():
            node.value = not node.value


def mutants(path: Path) -> Iterator[tuple[str, str]]:
    """For each mutant what was changed ("bits.py:12: ...") and the whole source."""
    text = path.read_text()
    lines, tree = text.splitlines(), ast.parse(text)
    for index, node in enumerate(sites(tree)):
        line = getattr(node, "lineno", 0)
        last = getattr(node, "end_lineno", line)
        if any(EQUIVALENT in lines[number] for number in range(line - 1, last)):
            continue
        changed = deepcopy(tree)
        mutant = list(sites(changed))[index]
        before = ast.unparse(mutant)
        mutate(mutant)
        source = ast.unparse(ast.fix_missing_locations(changed))
        yield f"{path.name}:{line}: {before}  ->  {ast.unparse(mutant)}", source


class Instead(MetaPathFinder, InspectLoader):
    """Gives one module another source."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == self._name else None

    def get_source(self, fullname: str) -> str:  # noqa: ARG002 - the protocol's
        return self._source


def survives(module: str, source: str, cpu_s: int = 60) -> bool:
    """Whether the tests pass with another source of a module, in a process forked for it."""
    child = os.fork()
    if child == 0:
        # A mutant that never ends is noticed; by its own time, whatever else the machine does.
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        sys.meta_path.insert(0, Instead("netprobe." + module.removesuffix(".py").replace("/", "."), source))
        os._exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--assert=plain", *TESTS]))
    _, status = os.waitpid(child, 0)
    return status == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", help="paths in netprobe, as in simulate/side.py")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    modules = options.modules or MODULES
    tried = 0
    survivors = []
    if not survives("simulate/match.py", (PACKAGE / "simulate" / "match.py").read_text()):
        sys.stdout.write("the tests fail without a mutation\n")
        return 2
    for module in modules:
        todo = list(mutants(PACKAGE / module))
        tried += len(todo)
        with ThreadPoolExecutor(options.jobs) as pool:
            results = pool.map(lambda mutant, module=module: survives(module, mutant[1]), todo)
            for (what, _), alive in zip(todo, results, strict=True):
                if alive:
                    survivors.append(what)
                    sys.stdout.write(f"survived  {what}\n")
                    sys.stdout.flush()
        sys.stdout.write(f"{module}: {len(todo)} mutants\n")
        sys.stdout.flush()
    sys.stdout.write(f"{tried} mutants, {len(survivors)} survived\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
