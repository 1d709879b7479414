"""The folder of a lab: it makes the lab known by name.

    options.json   its options
    process.json   PID 1 as the machine sees it, and when that process started, since PIDs are reused
    log            the daemon's messages
    kubeconfig

The folders are in $XDG_RUNTIME_DIR/netprobe/labs, for root in /run/netprobe/labs, all of mode 0700.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import LabError, NetprobeError
from netprobe.lab.options import LabOptions

PROCESS = "process "
READY = "ready"
"""The messages of a starting lab: its first process, then that it is ready. Any other line is the reason why
it did not start."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process of this machine, even if its PID is reused. `started` is in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """None if no such process lives; one that has ended and is not yet reaped does not."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        return Identity.of(self.pid) == self


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one lab."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def _process(self) -> Path:
        return self.path / "process.json"

    @classmethod
    def named(cls, name: str) -> Home:
        return cls(_labs() / name)

    @classmethod
    def all(cls) -> Iterator[Home]:
        """Every folder, of running labs and of dead ones."""
        for path in sorted(_labs().iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield cls(path)

    def create(self, options: LabOptions, creator: int) -> None:
        """Make the folder, in place of a dead lab's. LabError if a lab of that name lives.

        Until the lab has its own process, `creator` is recorded.
        """
        if self.alive():
            raise LabError(f"a lab named {self.name} is running; `netprobe lab down {self.name}` ends it")
        self.remove()
        # Created under another name and moved, so that a half-made folder is never taken for a dead lab's.
        draft = Home(self.path.with_name(f".{self.name}-{creator}"))
        draft.remove()
        draft.path.mkdir(mode=0o700)
        draft.claim(creator)
        (draft.path / "options.json").write_text(options.to_json())
        try:
            draft.path.rename(self.path)
        except OSError:
            draft.remove()
            raise LabError(f"another lab named {self.name} is starting at this moment") from None

    def claim(self, pid: int) -> None:
        """Write down that this process is the lab."""
        identity = Identity.of(pid)
        if identity is None:
            raise LabError("the lab ended while it was starting")
        draft = self._process.with_suffix(".new")
        draft.write_text(json.dumps({"pid": identity.pid, "started": identity.started}))
        draft.replace(self._process)

    def identity(self) -> Identity | None:
        """The lab's first process, dead or alive; None if the folder does not say."""
        try:
            fields = json.loads(self._process.read_text())
            return Identity(int(fields["pid"]), int(fields["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def alive(self) -> bool:
        identity = self.identity()
        return identity is not None and identity.alive()

    def options(self) -> LabOptions | None:
        try:
            return LabOptions.from_json((self.path / "options.json").read_text())
        except (OSError, ValueError, TypeError, KeyError, NetprobeError):
            return None

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _labs() -> Path:
    """The folder of all labs of this user, made if it is missing; LabError if it is not ours alone."""
    if os.geteuid() == 0:
        base = Path("/run/netprobe")
    elif runtime := os.environ.get("XDG_RUNTIME_DIR"):
        base = Path(runtime, "netprobe")
    else:
        base = Path(f"/tmp/netprobe-{os.geteuid()}")  # noqa: S108 (checked below to be ours alone)
    for path in (base, base / "labs"):
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            found = path.lstat()
        except OSError as error:
            raise LabError(f"the lab cannot keep its state in {path}: {error.strerror}") from error
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise LabError(
                f"the lab cannot keep its state in {path}: it is not a folder of this user's alone"
            )
    return base / "labs"
