"""Calico's selector language: `role == 'db' && !has(external) || name in {'a', 'b'}`.

    expression = term { "||" term }                 term = item { "&&" item }
    item = { "!" } ( "(" expression ")" | "has(" KEY ")" | "all()" | "global()" | KEY test )
    test = ( "==" | "!=" | "contains" | "starts with" | "ends with" ) STRING
         | ( "in" | "not in" ) "{" [ STRING { "," STRING } [ "," ] ] "}"

A string is in single or double quotes and has no escapes. Only spaces and tabs separate words. Source:
libcalico-go/lib/selector, tokenizer and parser, of Calico v3.32. `!=` and `not in` match where the label is
absent, the other tests need it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from netprobe.model.expression import ALL, AllOf, AnyOf, Expression, Negation, Part, ValuePart
from netprobe.model.labels import Operator, Requirement

GLOBAL = "global()"
_LONGEST_KEY = 512
_DEEPEST = 100
"""Parentheses inside each other. Calico has no limit; no selector that a person can read comes near."""

_BLANK = re.compile(r"[ \t]*")
_KEY = re.compile(r"[A-Za-z0-9_./-]+")
_STRING = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_CALL = re.compile(r"(has|all|global)\(")
_SYMBOL = re.compile(r"==|!=|&&|\|\||[!(){},]")
_TEST = re.compile(r"(contains|starts[ \t]*with|ends[ \t]*with|not[ \t]*in|in)(?![A-Za-z0-9_./-])")
_HALF = {"=": "==", "&": "&&", "|": "||"}


class SelectorError(ValueError):
    """A selector that is not of the language; `column` counts from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind` is a symbol, a test ("notin"), a call ("has"), or one of key, string, end."""

    kind: str
    text: str
    column: int

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else f'"{self.text}"'


@lru_cache(maxsize=4096)
def parse_selector(text: str, *, everything: Expression = ALL, nowhere: Expression = ALL) -> Expression:
    """The expression of a selector; an empty one selects everything. Raises SelectorError.

    `everything` and `nowhere` are what `all()` and `global()` mean: Calico gives them their own meaning
    in a namespaceSelector, and elsewhere both match every endpoint.
    """
    parser = _Parser(list(_tokens(text)), everything, nowhere)
    if parser.next.kind == "end":
        return everything
    found = parser.expression()
    parser.expect("end", "expected && or ||")
    return found


def uses_global(text: str) -> bool:
    """Whether `global()` occurs. Raises SelectorError."""
    return any(token.kind == "global" for token in _tokens(text))


def _tokens(text: str) -> Iterator[_Token]:
    at, after_key = _skip(text, 0), False
    while at < len(text):
        token, end = _token(text, at, after_key=after_key)
        yield token
        at, after_key = _skip(text, end), token.kind == "key"
    yield _Token("end", "", len(text) + 1)


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _token(text: str, at: int, *, after_key: bool) -> tuple[_Token, int]:
    """The token at a place that is not blank, and where it ends."""
    column = at + 1
    if found := _SYMBOL.match(text, at):
        return _Token(found[0], found[0], column), found.end()
    if found := _STRING.match(text, at):
        return _Token("string", found[1] if found[1] is not None else found[2], column), found.end()
    if text[at] in "'\"":
        raise SelectorError(column, "the string has no closing quote")
    if text[at] in _HALF:
        raise SelectorError(column, f"expected {_HALF[text[at]]}")
    if text[at] in "\r\n":
        raise SelectorError(column, "a selector is one line: use spaces instead of line breaks")
    if after_key:
        if found := _TEST.match(text, at):
            return _Token(re.sub(r"[ \t]", "", found[0]), found[0], column), found.end()
        raise SelectorError(column, "expected an operator after the label: ==, !=, in, not in, contains, …")
    if found := _CALL.match(text, at):
        return _call(text, found)
    if not (found := _KEY.match(text, at)):
        raise SelectorError(column, f'unexpected character "{text[at]}"')
    return _Token("key", _checked(found), column), found.end()


def _call(text: str, start: re.Match[str]) -> tuple[_Token, int]:
    at = _skip(text, start.end())
    key = _KEY.match(text, at) if start[1] == "has" else None
    if start[1] == "has" and key is None:
        raise SelectorError(at + 1, "expected the key of a label in has()")
    at = _skip(text, key.end()) if key else at
    if text[at : at + 1] != ")":
        raise SelectorError(at + 1, f"expected ) after {start[0]}{key[0] if key else ''}")
    return _Token(start[1], _checked(key) if key else f"{start[1]}()", start.start() + 1), at + 1


def _checked(key: re.Match[str]) -> str:
    if len(key[0]) > _LONGEST_KEY:
        raise SelectorError(key.start() + 1, f"the key has more than {_LONGEST_KEY} characters")
    return key[0]


class _Parser:
    """Recursive descent over the tokens of one selector."""

    def __init__(self, tokens: list[_Token], everything: Expression, nowhere: Expression) -> None:
        self._tokens = tokens
        self._at = self._depth = 0
        self._constants = {"all": everything, "global": nowhere}

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def take(self) -> _Token:
        token = self.next
        self._at += 1
        return token

    def expect(self, kind: str, wanted: str) -> _Token:
        if self.next.kind != kind:
            raise SelectorError(self.next.column, f"{wanted}, not {self.next.shown}")
        return self.take() if kind != "end" else self.next

    def expression(self) -> Expression:
        terms = [self._term()]
        while self.next.kind == "||":
            self.take()
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else AnyOf(tuple(terms))

    def _term(self) -> Expression:
        items = [self._item()]
        while self.next.kind == "&&":
            self.take()
            items.append(self._item())
        return items[0] if len(items) == 1 else AllOf(tuple(items))

    def _item(self) -> Expression:
        negated = False
        while self.next.kind == "!":
            self.take()
            negated = not negated
        found = self._positive()
        return Negation(found) if negated else found

    def _positive(self) -> Expression:
        token = self.next
        match token.kind:
            case "(":
                return self._enclosed()
            case "has":
                return Requirement(self.take().text, Operator.EXISTS)
            case "all" | "global":
                return self._constants[self.take().kind]
            case "key":
                return self._test(self.take().text)
        raise SelectorError(
            token.column, f"expected a label, has(), all(), ! or a parenthesis, not {token.shown}"
        )

    def _enclosed(self) -> Expression:
        opening = self.take()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise SelectorError(opening.column, f"more than {_DEEPEST} parentheses inside each other")
        found = self.expression()
        self.expect(")", "expected )")
        self._depth -= 1
        return found

    def _test(self, key: str) -> Expression:
        test = self.take()
        match test.kind:
            case "==" | "!=":
                value = self._string(test.text)
                return Requirement(key, Operator.IN if test.kind == "==" else Operator.NOT_IN, (value,))
            case "in" | "notin":
                operator = Operator.IN if test.kind == "in" else Operator.NOT_IN
                return Requirement(key, operator, self._values(test.text))
            case "contains":
                return ValuePart(key, Part.ANYWHERE, self._string(test.text))
            case "startswith":
                return ValuePart(key, Part.START, self._string(test.text))
            case "endswith":
                return ValuePart(key, Part.END, self._string(test.text))
        raise SelectorError(test.column, f"expected an operator after the label, not {test.shown}")

    def _string(self, after: str) -> str:
        return self.expect("string", f"expected a string in quotes after {after}").text

    def _values(self, after: str) -> tuple[str, ...]:
        self.expect("{", f"expected {{ after {after}")
        values: list[str] = []
        while self.next.kind == "string":
            values.append(self.take().text)
            if self.next.kind != ",":
                break
            self.take()
        self.expect("}", "expected a string in quotes or }")
        return tuple(values)
