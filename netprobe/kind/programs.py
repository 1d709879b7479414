"""docker and kind as this machine has them: run with a deadline, heard while they run, ended with us."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.errors import KindError

Progress = Callable[[str], None]

INSTALL: Final = {
    "docker": "kind's nodes are containers: https://docs.docker.com/engine/install/",
    "kind": "one binary: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
}
_TAIL: Final = 12


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that came to its end; `text` is its standard output, `said` the end of the other."""

    status: int
    text: str
    said: str


@dataclass(frozen=True, slots=True)
class Programs:
    """Runs docker and kind."""

    progress: Progress = lambda _: None

    async def check(self) -> tuple[str, str]:
        """The versions of docker's server and of kind. KindError names all that is missing."""
        problems = [
            f"{name} is not installed, or not on PATH; {INSTALL[name]}"
            for name in INSTALL
            if shutil.which(name) is None
        ]
        versions = {"docker": "", "kind": ""}
        if not any(problem.startswith("docker") for problem in problems):
            ended = await self.run("docker", "version", "--format", "{{.Server.Version}}", deadline_s=30)
            versions["docker"] = ended.text.strip()
            if ended.status or not versions["docker"]:
                problems.append(f"docker's daemon does not answer: {ended.said or 'it says nothing'}")
        if not any(problem.startswith("kind") for problem in problems):
            ended = await self.run("kind", "version", "-q", deadline_s=30)
            versions["kind"] = ended.text.strip()
            if ended.status:
                problems.append(f"kind does not work: {ended.said or 'it says nothing'}")
        if problems:
            raise KindError("\n".join(problems))
        return versions["docker"], versions["kind"]

    async def must(self, *command: str, deadline_s: float, what: str, stdin: bytes | None = None) -> Ended:
        """Run a program to success; KindError with the end of what it said."""
        ended = await self.run(*command, deadline_s=deadline_s, stdin=stdin)
        if ended.status:
            raise KindError(f"cannot {what}: {ended.said or ended.text.strip() or f'status {ended.status}'}")
        return ended

    async def run(
        self, *command: str, deadline_s: float, stdin: bytes | None = None, quiet: bool = False
    ) -> Ended:
        """Run a program; what it says on standard error is progress, unless `quiet`.

        Cancelled, or at the deadline, the program is told to end, and waited for; KindError at the deadline.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(deadline_s):
                out, said, _ = await asyncio.gather(
                    _all(process.stdout), self._heard(process.stderr, quiet), _fed(process.stdin, stdin)
                )
                status = await process.wait()
        except TimeoutError as e:
            raise KindError(f"`{_shown(command)}` did not end within {deadline_s:g} s") from e
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.shield(process.wait())
        return Ended(status, out.decode(errors="replace"), "\n".join(said[-_TAIL:]))

    async def _heard(self, stream: asyncio.StreamReader | None, quiet: bool) -> list[str]:
        lines: list[str] = []
        while stream is not None and (raw := await stream.readline()):
            if line := raw.decode(errors="replace").strip():
                lines.append(line)
                if not quiet:
                    self.progress(line)
        return lines


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream is not None else b""


async def _fed(stream: asyncio.StreamWriter | None, data: bytes | None) -> None:
    if stream is None or data is None:
        return
    try:
        stream.write(data)
        await stream.drain()
    except (BrokenPipeError, ConnectionResetError):  # its own last words say why it reads no more
        pass
    finally:
        stream.close()


def _shown(command: Sequence[str]) -> str:
    return " ".join(command[:4])
