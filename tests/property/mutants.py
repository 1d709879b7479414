"""A pytest plugin that changes one operator, condition, constant or return after the other; tests must fail.

    MUTANTS="simulate/side.py model" .venv/bin/python -m pytest -p tests.property.mutants tests/semantics

MUTANTS names modules, packages and lines ("simulate/side.py:82"); without it, the simulator, the labels and
the lab's compiler are tried, as in CONTRIBUTING.md. MUTANTS_NUMBER takes a sample of that size.

The tests are collected once, and a first run notes which lines each of them reaches. Each mutant runs in a
forked process, with the code of the module's functions exchanged: the tests that reach it, up to the first
failure. Mutants that no test can tell from the original are listed in equivalents.txt with the reason. The
run fails if any other survives, or if a listed one does not.
"""

from __future__ import annotations

import ast
import gc
import os
import pickle
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, TextIO, TypeVar

import pytest

from tests.property.strategies import seeded

PACKAGE = Path(__file__).parents[2] / "netprobe"
EQUIVALENTS = Path(__file__).with_name("equivalents.txt")
TARGETS = "simulate model/labels.py model/expression.py " + " ".join(
    f"lab/fabric/{name}.py" for name in ("ruleset", "policyrules", "matching", "selection")
)
_T = TypeVar("_T")
CPU_S = 10
"""What a test may take, of processor time, besides ten times what it takes without a mutant."""
HANGS_S = 100

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
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield "value", ast.Constant(1 if ast.unparse(value) == "()" else None)
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare | ast.BoolOp):
            yield "test", ast.UnaryOp(ast.Not(), test)


@dataclass(frozen=True)
class Mutant:
    """One change: of the node with this index in a module's `changes`. `name` is its line in the list."""

    module: str
    index: int
    name: str
    function: str
    around: range
    """The lines of the function."""
    lines: range

    @property
    def path(self) -> Path:
        return PACKAGE / self.module

    def code(self) -> CodeType:
        tree = ast.parse(self.path.read_text())
        _change(tree, self.index)
        return compile(ast.fix_missing_locations(tree), str(self.path), "exec")


def _change(tree: ast.Module, index: int) -> None:
    node, name, value = list(changes(tree))[index]
    setattr(node, name, value)


def mutants(module: str) -> Iterator[Mutant]:
    """All mutants of a module. Equal changes of one function are numbered."""
    text = (PACKAGE / module).read_text()
    tree = ast.parse(text)
    parents = {id(inner): node for node in ast.walk(tree) for inner in ast.iter_child_nodes(node)}
    seen: Counter[str] = Counter()
    for index, (node, attribute, value) in enumerate(changes(tree)):
        around = list(_around(node, parents))
        function = ".".join(each.name for each in reversed(around))
        shown = parents[id(node)] if isinstance(node, ast.Constant) else node
        before, old = _header(shown), getattr(node, attribute)
        setattr(node, attribute, value)
        name = f"{module} {function}: {before} -> {_header(shown)}"
        setattr(node, attribute, old)
        seen[name] += 1
        name += f" [{seen[name]}]" if seen[name] > 1 else ""
        test = getattr(node, "test", node)
        yield Mutant(module, index, name, function, _span(around[0], around[0]), _span(node, test))


def _span(first: Any, last: Any) -> range:
    return range(first.lineno, last.end_lineno + 1)


def _around(node: ast.AST, parents: dict[int, Any]) -> Iterator[Any]:
    """The functions and classes around a node, from the inside."""
    while (found := parents.get(id(node))) is not None:
        node = found
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _header(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).partition("\n")[0]


def listed() -> dict[str, str]:
    """The mutants that are known as equivalent, each with the reason."""
    found: dict[str, str] = {}
    name = ""
    for line in EQUIVALENTS.read_text().splitlines():
        if line.startswith("    "):
            found[name] += line.strip()
        elif line and not line.startswith("#"):
            name = line
            found[name] = ""
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    out = sys.__stderr__
    assert out is not None
    todo = [each for name in os.environ.get("MUTANTS", TARGETS).split() for each in _named(name)]
    if number := os.environ.get("MUTANTS_NUMBER"):
        todo = seeded(1).sample(todo, int(number))
    trials = Trials(session, {str(each.path) for each in todo})
    session.testsfailed = _campaign(trials, todo, out)
    return True


def _named(name: str) -> Iterator[Mutant]:
    """The mutants of a package, a module or a line."""
    name, _, line = name.partition(":")
    for path in sorted((PACKAGE / name).glob("*.py")) or [PACKAGE / name]:
        for each in mutants(str(path.relative_to(PACKAGE))):
            if not line or int(line) == each.lines.start:
                yield each


def _campaign(trials: Trials, todo: Sequence[Mutant], out: TextIO) -> int:
    """Try mutants and report them; how many are not as they should be."""
    equivalent, found = listed(), Counter[str]()
    for number, mutant in enumerate(todo, 1):
        killer = trials.killer(mutant)
        known = mutant.name in equivalent
        if killer is not None:
            result = "listed, but killed" if known else "killed"
        else:
            result = "equivalent" if known else "survived"
        found[result] += 1
        out.write(f"{number}/{len(todo)} {result}: {mutant.name}" + (f" by {killer}\n" if killer else "\n"))
        out.flush()
    counts = ", ".join(f"{found[each]} {each}" for each in ("killed", "equivalent", "survived"))
    out.write(f"{len(todo)} mutants: {counts}\n")
    return found["survived"] + found["listed, but killed"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
    """A report without a traceback, which would cost more than most tests."""
    if call.excinfo is None or issubclass(call.excinfo.type, pytest.skip.Exception):
        return None
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", "failed", "call")


class Trials:
    """Runs mutants in forks of a process that has collected the tests and has run none."""

    def __init__(self, session: pytest.Session, files: set[str]) -> None:
        self.items = session.items
        self._session = session
        self._caches = [each for each in gc.get_objects() if isinstance(each, _lru_cache_wrapper)]
        self._seconds, self._reached = self._rehearse(files)
        self._functions: dict[str, list[FunctionType]] = defaultdict(list)
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename in files:
                self._functions[each.__code__.co_filename].append(each)
        self._kills: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        gc.freeze()

    def killer(self, mutant: Mutant) -> str | None:
        """The test that fails with the mutant. "time" if none ends."""
        reached = self._reached[str(mutant.path)]
        function, near = (
            set().union(*(reached[line] for line in lines)) for lines in (mutant.around, mutant.lines)
        )
        kills = self._kills[mutant.module, mutant.function]
        order = sorted(function, key=lambda n: (n not in near, -kills[n], self._seconds[n]))
        found = self._fork(lambda: self._try(mutant, order))
        if found is None:
            return "time"
        if found >= 0:
            kills[found] += 1
            return self.items[found].nodeid
        return None

    def _try(self, mutant: Mutant, order: Sequence[int]) -> int:
        """The first test that fails, -1 if none does."""
        code = {(each.co_qualname, each.co_firstlineno): each for each in _inner(mutant.code())}
        for function in self._functions[str(mutant.path)]:
            own = function.__code__
            function.__code__ = code.get((own.co_qualname, own.co_firstlineno), own)
        self._forget()
        for number, following in zip_longest(order, order[1:]):
            signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S + 10 * self._seconds[number])
            signal.alarm(HANGS_S)
            if not self._passes(number, following):
                return number
        return -1

    def _rehearse(self, files: set[str]) -> tuple[list[float], dict[str, dict[int, set[int]]]]:
        """Without a mutant: the seconds that each test takes, and the tests that reach a line of a file."""
        found = self._fork(lambda: self._rehearsed(files))
        assert found is not None
        return found

    def _rehearsed(self, files: set[str]) -> tuple[list[float], dict[str, dict[int, set[int]]]]:
        seconds: list[float] = []
        reached: dict[str, dict[int, set[int]]] = {name: defaultdict(set) for name in files}

        def trace(frame: FrameType, event: str, _: object) -> Any:
            lines = reached.get(frame.f_code.co_filename)
            if lines is None:
                return None
            lines[frame.f_lineno].add(len(seconds))
            return trace

        for number, item in enumerate(self.items):
            started = time.process_time()
            self._forget()
            sys.settrace(trace)
            passes = self._passes(number, number + 1 if number + 1 < len(self.items) else None)
            sys.settrace(None)
            assert passes, f"{item.nodeid} fails without a mutant"
            seconds.append(time.process_time() - started)
        return seconds, reached

    def _forget(self) -> None:
        """A result that an earlier test left in a cache would hide what a test reaches."""
        for cached in self._caches:
            cached.cache_clear()

    def _passes(self, number: int, following: int | None) -> bool:
        item = self.items[number]
        nextitem = None if following is None else self.items[following]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        return not self._session.testsfailed

    def _fork(self, work: Callable[[], _T]) -> _T | None:
        """What a function returns in a forked process; None if that does not end."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            self._session.config.get_terminal_writer()._file = os.fdopen(null, "w")
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(work(), pipe)
                pipe.flush()
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            text = pipe.read()
        status = os.waitpid(child, 0)[1]
        assert text or os.WIFSIGNALED(status), "a fault of this plugin"
        found: _T | None = pickle.loads(text) if text else None  # noqa: S301 (of its own fork)
        return found


def _inner(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)
