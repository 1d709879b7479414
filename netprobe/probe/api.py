"""What the prober needs of a cluster; `netprobe.kube` implements it, tests script it.

Objects are plain dictionaries in the API's spelling, with `apiVersion` and `kind`, so that no field is lost.
`kind` arguments are the API's kinds ("Pod", "NetworkPolicy", ...). Every method raises a ClusterError of
netprobe.errors, and none waits longer than the implementation's request timeout.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from netprobe.model.objects import Object

LOST_S: Final = 30.0
"""How long a server that cannot be reached is waited for: longer than it takes to restart."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change seen by a watch: `type` is ADDED, MODIFIED or DELETED."""

    type: str
    object: Object


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command in a pod ended. `status` None: not known, so what it did is unknown too."""

    status: int | None
    reason: str = ""


class Execution(Protocol):
    """A command that runs in a container; leaving its context ends the connection."""

    def lines(self) -> AsyncIterator[str]:
        """Standard output, line by line as it arrives, without the line ends; ends with the command.

        A last line that was cut off by a lost connection is left out.
        """
        ...

    async def send(self, text: str) -> None:
        """Write to standard input, which cannot be closed: the command has to end on some input."""
        ...

    @property
    def finished(self) -> ExecResult | None:
        """Set when `lines` has ended."""
        ...

    @property
    def stderr(self) -> str:
        """What arrived on standard error so far, at most some kilobytes."""
        ...


class Executes(Protocol):
    """Where commands can be run in containers."""

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: bool = True
    ) -> AbstractAsyncContextManager[Execution]:
        """Start a command. ClusterError on entering: it was never started."""
        ...


class ClusterAPI(Executes, Protocol):
    """The few verbs that a run needs."""

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object: ...

    async def find(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> list[Object]:
        """All objects, or those with the labels; None as a value: the key with any value."""
        ...

    async def served(self, kind: str) -> str:
        """The apiVersion in which the cluster has a kind; NotServedError if it does not have it."""
        ...

    async def create(self, obj: Object) -> Object:
        """ConflictError if an object of that name exists."""
        ...

    async def ensure(self, obj: Object) -> None:
        """Create an object that others may have created, and use, too; what exists stays as it is."""
        ...

    async def replace(self, obj: Object) -> Object:
        """Update an object that exists; with a `resourceVersion` only if it is still that version."""
        ...

    async def apply(self, obj: Object, *, may_replace: Callable[[Object], bool] = ...) -> Object:
        """Create the object, or replace it if it exists.

        ConflictError if it exists and `may_replace` is false for it.
        """
        ...

    async def patch(self, kind: str, name: str, namespace: str | None, patch: Object) -> Object:
        """A JSON merge patch (RFC 7386)."""
        ...

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        at_once: bool = False,
    ) -> None:
        """NotFoundError if it does not exist. Returns before the object is gone.

        `uid`: only this object; ConflictError if there is another one of that name. `at_once`: a pod is
        removed without waiting for its node.
        """
        ...

    async def delete_all(
        self, kind: str, namespace: str, labels: Mapping[str, str | None], *, unstarted: bool = False
    ) -> None:
        """Delete all objects of a namespace with the labels; it is not an error if there are none.

        `unstarted`: only pods that have not started yet, and without waiting for their node.
        """
        ...

    def watch(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> AsyncGenerator[Event, None]:
        """Existing objects as ADDED, then every change; survives lost connections and ends when it is closed.

        UnreachableError if the server was not reached for `LOST_S`.
        """
        ...
