"""The cluster behind a kubeconfig, for the prober: `async with connect(...) as cluster`.

The only importer of `kubernetes`, and only when a cluster is contacted: the import costs a second.

    transport  requests: rate limit, retries, renewed credentials
    client     KubeCluster, the verbs of probe's ClusterAPI
    exec       commands in pods, over websockets
    facts      server version, nodes, network plugin, policies of other kinds
    resources  the kinds that netprobe uses, and their paths
    errors     errors of the wire and of the API as sentences
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.errors import UsageError
from netprobe.policies.kinds import NOT_SIMULATED
from netprobe.probe.deciding import KINDS, Listed, listed

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster

__all__ = ["connect", "live_objects"]


@asynccontextmanager
async def connect(
    kubeconfig: str | Path | None = None,
    context: str | None = None,
    *,
    request_timeout_s: float = 30.0,
    qps: float = 50.0,
    burst: int = 100,
) -> AsyncIterator[KubeCluster]:
    """Open the cluster of a kubeconfig (default: $KUBECONFIG, ~/.kube/config) and of one of its contexts.

    No request is sent yet. UsageError: no such file or context, or unreadable.
    At most `qps` requests a second on average, `burst` at once; the defaults are kubectl's.
    """
    import yaml
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import ConfigException, load_kube_config
    from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION
    from kubernetes.aio.stream import WsApiClient

    from netprobe.kube.client import KubeCluster
    from netprobe.kube.transport import RateLimit

    path = str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)
    if kubeconfig is not None and not await asyncio.to_thread(Path(kubeconfig).is_file):
        raise UsageError(f"{kubeconfig}: no such kubeconfig")
    if kubeconfig is None and not await asyncio.to_thread(_any_exists, path):  # the client would go on
        raise UsageError(f"no kubeconfig found ({path}): use --kubeconfig or set $KUBECONFIG")
    configuration = Configuration()
    configuration.connection_pool_maxsize = 0  # execs hold their connections: the prober limits them

    async def load() -> None:
        try:
            await load_kube_config(path, context, configuration, persist_config=False)
        except ConfigException as e:
            # The exception may quote the file, which holds secrets: name the file, not its content.
            known = _contexts(path)
            if context and known and context not in known:
                why = f"it does not exist; {_similar(context, known)}"
                raise UsageError(f"{path}: cannot use the context {context!r}: {why}") from e
            wanted = f"the context {context!r}" if context else "the current context"
            raise UsageError(f"{path}: cannot use {wanted} of this kubeconfig") from e
        except (OSError, yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError) as e:
            raise UsageError(f"{path}: not a readable kubeconfig ({type(e).__name__})") from e

    await load()
    cluster = KubeCluster(
        WsApiClient(configuration, heartbeat=20),
        context=context or current_context(path),
        request_timeout_s=request_timeout_s,
        limit=RateLimit(qps, burst),
        reload=load,
    )
    try:
        yield cluster
    finally:
        await cluster.close()


async def live_objects(
    kubeconfig: str | None = None, context: str | None = None, *, request_timeout_s: float = 30.0
) -> Listed:
    """Every object of a cluster that decides flows: pods, namespaces, Services, policies. ClusterError.

    Policies of kinds that are not simulated are among them: they qualify an answer.
    """
    async with connect(kubeconfig, context, request_timeout_s=request_timeout_s) as cluster:
        return await listed(cluster, (*KINDS, *(kind.key for kind in NOT_SIMULATED)))


def _any_exists(paths: str) -> bool:
    """Whether one of the files in $KUBECONFIG exists, read as kubectl does."""
    return any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path)


def _contexts(path: str) -> list[str]:
    from kubernetes.aio.config import ConfigException, list_kube_config_contexts

    try:
        return [str(one["name"]) for one in list_kube_config_contexts(path)[0]]
    except ConfigException:
        return []


def _similar(name: str, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known ones."""
    near = get_close_matches(name, known, 3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(known[:10])}{f' and {len(known) - 10} more' if len(known) > 10 else ''}"


def current_context(kubeconfig: str | None = None) -> str | None:
    """The name of the current context of a kubeconfig; None if it has none."""
    from kubernetes.aio.config import ConfigException, list_kube_config_contexts
    from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    try:
        _, active = list_kube_config_contexts(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)
    except ConfigException:
        return None
    return str(active["name"]) if active else None
