"""The network plugin's manifest: Calico's published one at a pinned version, or one that the user names."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netprobe.errors import KindError
from netprobe.model.image import mirrored

MOST_BYTES: Final = 16 * 1024 * 1024
FETCH_S: Final = 60.0
_IMAGE: Final = re.compile(r"""^(\s*(?:-\s+)?image:\s*)["']?([^\s"'#]+)["']?""", re.MULTILINE)
_NAME: Final = re.compile(r"""^\s*name:\s*["']?([a-z0-9.-]+)""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A manifest that is published under a version, and what it has to be."""

    version: str
    url: str
    sha256: str
    images: tuple[str, ...]


CALICO: Final = Pinned(
    "v3.32.1",
    "https://raw.githubusercontent.com/projectcalico/calico/v3.32.1/manifests/calico.yaml",
    "a1df919d9721cf667accdc3e72848911b0cb25cfab7d2478ad0c996302c95744",
    (
        "quay.io/calico/cni:v3.32.1",
        "quay.io/calico/node:v3.32.1",
        "quay.io/calico/kube-controllers:v3.32.1",
    ),
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """YAML to be applied, and where it is from."""

    source: str
    text: str

    @property
    def images(self) -> tuple[str, ...]:
        """The images that it names, in the order of the text."""
        return tuple(dict.fromkeys(match[2] for match in _IMAGE.finditer(self.text)))

    @property
    def names(self) -> frozenset[str]:
        """The names of its objects, those of its DaemonSets among them."""
        return frozenset(_NAME.findall(self.text))

    def from_registry(self, registry: str | None) -> Manifest:
        """The same with every image from another registry; as it is where none is named."""
        if registry is None:
            return self
        text = _IMAGE.sub(lambda match: match[1] + mirrored(match[2], registry), self.text)
        return Manifest(self.source, text)


async def obtained(source: str | None) -> Manifest:
    """The manifest of a file or a URL, Calico's where None is named; KindError says what to do instead."""
    if source is None:
        text = await _fetched(CALICO.url)
        if (got := hashlib.sha256(text).hexdigest()) != CALICO.sha256:
            raise KindError(
                f"{CALICO.url} is not the manifest that this netprobe knows (sha256 {got}, not "
                f"{CALICO.sha256}): nothing was applied. Look at it, and name it by --manifest"
            )
        return Manifest(f"Calico {CALICO.version}", text.decode())
    if re.match(r"https?://", source):
        return Manifest(source, (await _fetched(source)).decode(errors="replace"))
    return await asyncio.to_thread(_read, source)


def _read(source: str) -> Manifest:
    try:
        return Manifest(source, Path(source).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise KindError(f"{source}: not a readable manifest ({type(e).__name__})") from e


async def _fetched(url: str) -> bytes:
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(
                trust_env=True, timeout=aiohttp.ClientTimeout(total=FETCH_S), raise_for_status=True
            ) as session,
            session.get(url) as response,
        ):
            text = await response.content.read(MOST_BYTES + 1)
            while len(text) <= MOST_BYTES and not response.content.at_eof():
                text += await response.content.read(MOST_BYTES + 1 - len(text))
    except (aiohttp.ClientError, TimeoutError, ValueError) as e:
        raise KindError(
            f"cannot fetch {url}: {str(e) or type(e).__name__}. Without internet: bring the file here and "
            "name it by --manifest, and its images by --load (docs/kind.md)"
        ) from e
    if len(text) > MOST_BYTES:
        raise KindError(f"{url}: longer than {MOST_BYTES} bytes, which no manifest is")
    return text
