"""The network plugin's manifest: Calico's published one at a pinned version, or the user's own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from netprobe.errors import KindError
from netprobe.model.text import mirrored

MOST_BYTES: Final = 16 * 1024 * 1024
FETCH_S: Final = 60.0
_IMAGE: Final = re.compile(r"""^(\s*(?:-\s+)?image:\s*)["']?([^\s"'#]+)["']?""", re.MULTILINE)
_NAME: Final = re.compile(r"""^\s*name:\s*["']?([a-z0-9.-]+)""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A manifest that is published under a version, with its digest."""

    version: str
    url: str
    sha256: str
    images: tuple[str, ...]


CALICO: Final = Pinned(
    "v3.32.1",
    "https://raw.githubusercontent.com/projectcalico/calico/v3.32.1/manifests/calico.yaml",
    "a1df919d9721cf667accdc3e72848911b0cb25cfab7d2478ad0c996302c95744",
    ("quay.io/calico/cni:v3.32.1", "quay.io/calico/node:v3.32.1", "quay.io/calico/kube-controllers:v3.32.1"),
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """YAML to apply, and its source."""

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
        """The same with every image from another registry; unchanged for None."""
        if registry is None:
            return self
        text = _IMAGE.sub(lambda match: match[1] + mirrored(match[2], registry), self.text)
        return Manifest(self.source, text)


def read_manifest(source: str | None) -> Manifest:
    """The manifest in a file or at a URL; Calico's pinned one for None. KindError says what to do instead."""
    if source is not None and not re.match(r"https?://", source):
        try:
            return Manifest(source, Path(source).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as e:
            raise KindError(f"{source}: not a readable manifest ({type(e).__name__})") from e
    data = _fetch(source or CALICO.url)
    if source is not None:
        return Manifest(source, data.decode(errors="replace"))
    digest = hashlib.sha256(data).hexdigest()
    if digest != CALICO.sha256:
        raise KindError(
            f"{CALICO.url} is not the manifest that this version of netprobe expects (sha256 {digest}, not "
            f"{CALICO.sha256}): nothing was applied. Check it, and pass it with --manifest"
        )
    return Manifest(f"Calico {CALICO.version}", data.decode())


def _fetch(url: str) -> bytes:
    try:
        with urlopen(url, timeout=FETCH_S) as response:  # noqa: S310 - http or https, as the caller checked
            data: bytes = response.read(MOST_BYTES + 1)
    except (OSError, ValueError) as e:
        raise KindError(
            f"cannot fetch {url}: {e}. Without internet: copy the file here and pass it with --manifest, and "
            "its images with --load (docs/kind.md)"
        ) from e
    if len(data) > MOST_BYTES:
        raise KindError(f"{url}: longer than {MOST_BYTES} bytes, so it is not a manifest")
    return data
