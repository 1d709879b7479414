"""A pytest plugin that changes one operator, condition, constant or return after the other; tests must fail.

    MUTANTS="simulate/side.py simulate/rows.py" .venv/bin/python -m pytest -p tests.property.mutants tests

The tests are collected once. Each mutant runs them in a forked process up to the first failure, with the code
of the module's functions exchanged. Survivors are listed at the end. MUTANTS_NUMBER takes a sample of that
size. Mutants that no test can tell from the original carry `# mutant: equivalent` and the reason.
"""

from __future__ import annotations

import ast
import gc
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from tests.property.strategies import seeded

PACKAGE = Path(__file__).parents[2] / "netprobe"
EQUIVALENT = "mutant: equivalent"
CPU_S = 120
"""A mutant that never ends is noticed, by its own time."""

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


def changes(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str, object]]:
    """Each node inside a function that can be changed, and the attribute to change; in a fixed order."""
    spared = {id(inner) for part in _spared(tree) for inner in ast.walk(part)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node): node for function in functions for part in function.body for node in ast.walk(part)}
    for node in inside.values():
        if id(node) not in spared and isinstance(node, ast.expr | ast.stmt):
            for name, value in _neighbour(node):
                yield node, name, value


def _spared(tree: ast.Module) -> Iterator[ast.AST]:
    """Annotations, decorators, error texts, and the `strict` of a zip, which only guards against mistakes."""
    for node in ast.walk(tree):
        yield from getattr(node, "decorator_list", ())
        yield from filter(None, (getattr(node, name, None) for name in ("annotation", "returns")))
        if isinstance(node, ast.Raise | ast.JoinedStr):
            yield node
        elif isinstance(node, ast.keyword) and node.arg == "strict":
            yield node.value


def _neighbour(node: ast.AST) -> Iterator[tuple[str, object]]:
    """The attribute that turns a node into another one, and its value; nothing for other nodes."""
    match node:
        case ast.Compare(ops=[first, *rest]):
            yield "ops", [COMPARISONS[type(first)](), *rest]
        case ast.BoolOp(op=operator):
            yield "op", ast.Or() if isinstance(operator, ast.And) else ast.And()
        case ast.BinOp(op=known) | ast.AugAssign(op=known) if type(known) in OPERATORS:
            yield "op", OPERATORS[type(known)]()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "operand", ast.UnaryOp(ast.Not(), operand)
        case ast.UnaryOp(op=ast.Invert()):
            yield "op", ast.UAdd()
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield "func", ast.Name(CALLS[name], ast.Load())
        case ast.Constant(value=bool() | int() as value):
            yield "value", value + 1 if type(value) is int else not value
        case ast.Return(value=ast.expr()):
            yield "value", ast.Constant(None)
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare | ast.BoolOp):
            yield "test", ast.UnaryOp(ast.Not(), test)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    names = os.environ["MUTANTS"].split()
    out = sys.__stderr__
    assert out is not None
    todo = [(PACKAGE / name, index) for name in names for index in _sites(PACKAGE / name)]
    todo = seeded(1).sample(todo, int(os.environ.get("MUTANTS_NUMBER", len(todo))))
    survivors = 0
    for path, index in todo:
        tree = ast.parse(path.read_text())
        node, name, value = list(changes(tree))[index]
        before, _, _ = ast.unparse(node).partition("\n")
        setattr(node, name, value)
        if _survives(session, path, ast.fix_missing_locations(tree)):
            survivors += 1
            after, _, _ = ast.unparse(node).partition("\n")
            out.write(f"\nsurvived: {path.name}:{node.lineno}: {before}  ->  {after}\n")
    out.write(f"\n{len(todo)} mutants, {survivors} survived\n")
    return True


def _sites(path: Path) -> list[int]:
    lines = path.read_text().splitlines()
    found = enumerate(changes(ast.parse("\n".join(lines))))
    return [
        index
        for index, (node, *_) in found
        if not any(EQUIVALENT in line for line in lines[max(node.lineno - 2, 0) : node.end_lineno])
    ]


def _survives(session: pytest.Session, path: Path, tree: ast.Module) -> bool:
    """Whether all tests pass in a process with the functions of a mutant."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        _exchange(path, compile(tree, str(path), "exec"))
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                break
        os._exit(1 if session.testsfailed else 0)
    return os.waitpid(child, 0)[1] == 0


def _exchange(path: Path, module: CodeType) -> None:
    """Give the functions of a module the code of their namesakes."""
    code = {(each.co_qualname, each.co_firstlineno): each for each in _inner(module)}
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == str(path):
            own = function.__code__
            function.__code__ = code.get((own.co_qualname, own.co_firstlineno), own)


def _inner(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)
