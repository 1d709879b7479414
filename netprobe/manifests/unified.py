"""Changes as a patch for `git apply`, and as kubectl commands for what is in no file.

The files are edited in memory. Names are relative to the current directory. An edit that is not possible
becomes a comment with the reason, which `git apply` skips.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from netprobe.manifests.change import Apply, Delete, ObjectChange, Patch, SetLabels, patched
from netprobe.manifests.files import STDIN
from netprobe.manifests.text_edit import (
    NotEditableError,
    edited,
    locate,
    with_document,
    without_document,
)
from netprobe.model.policy import Origin

_BOM = "\ufeff"


def unified(changes: Iterable[ObjectChange]) -> Iterator[str]:
    """One diff of all files, then the commands; in pieces that end with a line break.

    Each change is relative to the objects as the ones before it leave them.
    """
    draft = _Draft()
    for change in changes:
        draft.add(change)
    yield from draft.pieces()


@dataclass(slots=True)
class _File:
    """A file before and after, without its byte order mark."""

    before: str
    after: str
    bom: str


@dataclass(slots=True)
class _Draft:
    _files: dict[str, _File] = field(default_factory=dict)
    _new: dict[tuple[str, str], Apply] = field(default_factory=dict)
    _deleted: list[tuple[Delete, Origin]] = field(default_factory=list)
    _commands: list[str] = field(default_factory=list)
    _refused: list[str] = field(default_factory=list)

    def add(self, change: ObjectChange) -> None:
        match change:
            case Patch(kind, name, operations, origin):
                if (kind, name) in self._new:
                    made = self._new[kind, name]
                    self._new[kind, name] = Apply(patched(made.object, operations), made.beside)
                elif origin is not None and _in_file(origin):
                    self._edit(change, origin)
                else:
                    self._commands.append(_patch_command(change))
            case SetLabels(_, _, _, Patch(origin=Origin() as origin) as patch) if _in_file(origin):
                self._edit(patch, origin)
            case SetLabels(kind, _, _, Patch() as template) if kind not in {"Namespace", "Pod"}:
                # `kubectl label` would label the workload itself
                self._commands.append(_patch_command(template))
            case SetLabels(kind, name, labels):
                pairs = [f"{key}={value}" for key, value in labels.items()]
                self._commands.append(_command("label", "--overwrite", *_named(kind, name), *pairs))
            case Apply(obj):
                metadata = obj["metadata"]
                name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
                self._new[obj["kind"], name] = change
            case Delete(kind, name, origin):
                if origin is not None and _in_file(origin):
                    self._deleted.append((change, origin))
                else:
                    self._commands.append(_command("delete", *_named(kind, name)))

    def pieces(self) -> Iterator[str]:
        for made in self._new.values():
            if not self._append(made):
                text = yaml.safe_dump(dict(made.object), default_flow_style=None, sort_keys=False)
                self._commands.append(f"kubectl apply -f - <<'EOF'\n{text}EOF\n")
        for gone, origin in self._deleted:
            self._cut(gone, origin)
        yield from (f"# {reason}\n" for reason in self._refused)
        for name, file in self._files.items():
            yield from _diff(name, file)
        yield from self._commands

    def _edit(self, patch: Patch, origin: Origin) -> None:
        try:
            file = self._file(origin.file)
            file.after = edited(file.after, locate(file.before, patch), patch)
        except NotEditableError as error:
            operations = json.dumps([dict(one) for one in patch.operations])
            self._refuse(origin, f"{error}; change {patch.kind} {patch.name} by hand: {operations}")

    def _append(self, made: Apply) -> bool:
        if made.beside is None or not _in_file(made.beside):
            return False
        try:
            file = self._file(made.beside.file)
            file.after = with_document(file.after, made.object)
        except NotEditableError as error:
            self._refuse(made.beside, f"{error}; put the new {made.object['kind']} into another file")
            return False
        return True

    def _cut(self, gone: Delete, origin: Origin) -> None:
        try:
            file = self._file(origin.file)
            file.after = without_document(file.after, Patch(gone.kind, gone.name, (), origin))
        except NotEditableError as error:
            self._refuse(origin, f"{error}; delete {gone.kind} {gone.name} by hand")

    def _file(self, name: str) -> _File:
        if name not in self._files:
            text = _read(name)
            bom = _BOM if text.startswith(_BOM) else ""
            text = text.removeprefix(bom)
            self._files[name] = _File(text, text, bom)
        return self._files[name]

    def _refuse(self, origin: Origin, reason: str) -> None:
        self._refused.append(f"{origin}: not edited: {reason}")


def _in_file(origin: Origin | None) -> bool:
    return origin is not None and bool(origin.line) and origin.file not in {"", STDIN}


def _read(name: str) -> str:
    if os.path.relpath(name).startswith(os.pardir + os.sep):
        raise NotEditableError("it is outside of the current directory, where git apply changes nothing")
    try:
        return Path(name).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotEditableError("it is not UTF-8, so for git apply it is not text") from error
    except OSError as error:
        raise NotEditableError(error.strerror or str(error)) from error


def _diff(name: str, file: _File) -> Iterator[str]:
    if file.before == file.after:
        return
    path = Path(os.path.relpath(name)).as_posix()
    old, new = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    yield f"diff --git {old} {new}\n"
    if not file.after.strip():
        yield "deleted file mode 100644\n"
    tab = "\t" if " " in path else ""
    target = f"{new}{tab}" if file.after.strip() else "/dev/null"
    before, after = (_lines(file.bom + text) if text.strip() else [] for text in (file.before, file.after))
    for line in difflib.unified_diff(before, after, f"{old}{tab}", target):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines as git counts them: only "\\n" ends one."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + [last for last in text.split("\n")[-1:] if last]


def _quoted(path: str) -> str:
    """A name as git writes it: in quotes if it has special characters."""
    if path.isascii() and path.isprintable() and not {'"', "\\"} & set(path):
        return path
    escapes = {'"': '\\"', "\\": "\\\\"}
    data = path.encode("utf-8", "surrogateescape")
    return (
        '"'
        + "".join(escapes.get(chr(byte), chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in data)
        + '"'
    )


# Commands.


def _patch_command(patch: Patch) -> str:
    operations = json.dumps([dict(one) for one in patch.operations])
    kind, qualified, _ = patch.kind.partition(".")
    resource = f"{kind}.{patch.group}" if qualified and patch.group else patch.kind
    return _command("patch", *_named(resource, patch.name), "--type=json", "-p", operations)


def _named(kind: str, name: str) -> list[str]:
    namespace, slash, rest = name.partition("/")
    return [kind.lower(), *(("-n", namespace, rest) if slash else (name,))]


def _command(*words: Any) -> str:
    return f"kubectl {shlex.join(map(str, words))}\n"
