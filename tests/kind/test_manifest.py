"""Where the network plugin comes from, and that it is what it is said to be."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from netprobe.errors import KindError
from netprobe.kind import CALICO, manifest, obtained
from tests.kind.conftest import MANIFEST


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Serves the manifest, and beside it something that is too long."""

    async def calico(_: web.Request) -> web.Response:
        return web.Response(text=MANIFEST)

    async def long(_: web.Request) -> web.Response:
        return web.Response(body=b"#" * 2000)

    app = web.Application()
    app.router.add_get("/calico.yaml", calico)
    app.router.add_get("/long.yaml", long)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


async def test_images_and_names_are_read_and_a_mirror_takes_their_place() -> None:
    made = manifest.Manifest("x", MANIFEST)
    assert made.images == ("quay.io/calico/cni:v1", "quay.io/calico/node:v1")
    assert made.names == {"calico-node"}
    mirrored = made.from_registry("mirror.example:5000/q")
    assert mirrored.images == ("mirror.example:5000/q/calico/cni:v1", "mirror.example:5000/q/calico/node:v1")
    assert mirrored.text.count("\n") == MANIFEST.count("\n")
    assert made.from_registry(None) is made


async def test_a_file_or_a_url_of_ones_own(url: str, tmp_path: Path) -> None:
    path = tmp_path / "plugin.yaml"
    path.write_text(MANIFEST)
    assert await obtained(str(path)) == manifest.Manifest(str(path), MANIFEST)
    assert await obtained(f"{url}/calico.yaml") == manifest.Manifest(f"{url}/calico.yaml", MANIFEST)
    with pytest.raises(KindError, match=r"missing\.yaml: not a readable manifest"):
        await obtained(str(tmp_path / "missing.yaml"))


async def test_the_pinned_one_has_to_be_the_one_that_was_pinned(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = hashlib.sha256(MANIFEST.encode()).hexdigest()
    pinned = replace(CALICO, url=f"{url}/calico.yaml", sha256=right)
    monkeypatch.setattr(manifest, "CALICO", pinned)
    assert (await obtained(None)).source == f"Calico {CALICO.version}"
    monkeypatch.setattr(manifest, "CALICO", replace(pinned, sha256="0" * 64))
    with pytest.raises(KindError, match=f"is not the manifest that this netprobe knows .sha256 {right}"):
        await obtained(None)


async def test_what_cannot_be_fetched_says_what_to_do_without(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KindError, match=r"cannot fetch .*404.*--manifest, and its images by --load"):
        await obtained(f"{url}/nothing.yaml")
    monkeypatch.setattr(manifest, "MOST_BYTES", 1000)
    with pytest.raises(KindError, match="longer than 1000 bytes"):
        await obtained(f"{url}/long.yaml")


def test_what_is_pinned_belongs_together() -> None:
    assert f"/{CALICO.version}/" in CALICO.url
    assert all(image.endswith(f":{CALICO.version}") for image in CALICO.images)
