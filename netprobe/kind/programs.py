"""Runs docker and kind: with a deadline and their messages as progress; they end when netprobe ends."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from netprobe.errors import KindError

Report = Callable[[str], None]

INSTALL: Final = {
    "docker": "kind's nodes are containers: https://docs.docker.com/engine/install/",
    "kind": "one binary: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
}
_LAST_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """A program that has ended: its exit status, standard output, and the last lines of standard error."""

    status: int
    text: str
    errors: str


@dataclass(frozen=True, slots=True)
class Programs:
    """Runs docker and kind; `progress` gets each line of standard error."""

    progress: Report = lambda _: None

    async def check(self) -> tuple[str, str]:
        """The versions of docker's server and of kind. KindError names everything that is missing."""
        missing = {name: hint for name, hint in INSTALL.items() if shutil.which(name) is None}
        problems = [f"{name} is not installed, or not on PATH; {hint}" for name, hint in missing.items()]
        docker = kind = ""
        if "docker" not in missing:
            result = await self.run("docker", "version", "--format", "{{.Server.Version}}", deadline_s=30)
            docker = result.text.strip()
            if result.status or not docker:
                problems.append(f"docker's daemon does not answer: {result.errors or 'no message'}")
        if "kind" not in missing:
            result = await self.run("kind", "version", "-q", deadline_s=30)
            kind = result.text.strip()
            if result.status:
                problems.append(f"kind does not work: {result.errors or 'no message'}")
        if problems:
            raise KindError("\n".join(problems))
        return docker, kind

    async def require(self, *command: str, deadline_s: float, what: str) -> ProgramResult:
        """Run a program that has to succeed; KindError with its last messages if it does not."""
        result = await self.run(*command, deadline_s=deadline_s)
        if result.status:
            reason = result.errors or result.text.strip() or f"status {result.status}"
            raise KindError(f"cannot {what}: {reason}")
        return result

    async def run(
        self, *command: str, deadline_s: float, stdin: bytes = b"", quiet: bool = False
    ) -> ProgramResult:
        """Run a program; with `quiet` its messages are not progress. KindError at the deadline.

        When this is cancelled, and at the deadline, the program is terminated and waited for.
        """
        with tempfile.TemporaryFile() as source:  # a pipe would have to be fed while the output is read
            source.write(stdin)
            source.seek(0)
            process = await asyncio.create_subprocess_exec(
                *command, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
        try:
            async with asyncio.timeout(deadline_s):
                output, errors = await asyncio.gather(
                    _read(process.stdout), self._messages(process.stderr, quiet)
                )
                status = await process.wait()
        except TimeoutError as e:
            raise KindError(f"`{' '.join(command[:4])}` did not end within {deadline_s:g} s") from e
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.shield(process.wait())
        return ProgramResult(status, output.decode(errors="replace"), "\n".join(errors[-_LAST_LINES:]))

    async def _messages(self, stream: asyncio.StreamReader | None, quiet: bool) -> list[str]:
        lines = []
        while stream is not None and (raw := await stream.readline()):
            if line := raw.decode(errors="replace").strip():
                lines.append(line)
                if not quiet:
                    self.progress(line)
        return lines


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream is not None else b""
