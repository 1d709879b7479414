"""Where the network plugin's manifest comes from, and that it is the pinned one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from netprobe.errors import KindError
from netprobe.kind import CALICO, Manifest, manifest, read_manifest
from tests.kind.conftest import MANIFEST


@pytest.fixture
async def url(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serves the manifest, and something that is too long."""
    monkeypatch.setattr(manifest, "MOST_BYTES", 1000)

    async def calico(_: web.Request) -> web.Response:
        return web.Response(text=MANIFEST)

    async def long(_: web.Request) -> web.Response:
        return web.Response(body=b"#" * 2000)

    app = web.Application()
    app.router.add_get("/calico.yaml", calico)
    app.router.add_get("/long.yaml", long)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


def test_images_and_names_are_read_and_a_mirror_takes_their_place() -> None:
    original = Manifest("x", MANIFEST)
    assert original.images == ("quay.io/calico/cni:v1", "quay.io/calico/node:v1")
    assert original.names == {"calico-node"}
    mirrored = original.from_registry("mirror.example:5000/q")
    assert mirrored.images == ("mirror.example:5000/q/calico/cni:v1", "mirror.example:5000/q/calico/node:v1")
    assert mirrored.text.count("\n") == MANIFEST.count("\n")
    assert original.from_registry(None) is original


async def read(source: Path | str | None) -> Manifest:
    return await asyncio.to_thread(read_manifest, None if source is None else str(source))


async def test_the_users_own_file_or_url(url: str, tmp_path: Path) -> None:
    path = tmp_path / "plugin.yaml"
    path.write_text(MANIFEST)
    assert await read(path) == Manifest(str(path), MANIFEST)
    assert await read(f"{url}/calico.yaml") == Manifest(f"{url}/calico.yaml", MANIFEST)
    with pytest.raises(KindError, match=r"missing\.yaml: not a readable manifest"):
        await read(tmp_path / "missing.yaml")
    with pytest.raises(KindError, match=r"cannot fetch .*404.*--manifest, and its images with --load"):
        await read(f"{url}/nothing.yaml")
    with pytest.raises(KindError, match="longer than 1000 bytes"):
        await read(f"{url}/long.yaml")


async def test_the_pinned_manifest_must_have_the_pinned_digest(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(MANIFEST.encode()).hexdigest()
    pinned = replace(CALICO, url=f"{url}/calico.yaml", sha256=digest)
    monkeypatch.setattr(manifest, "CALICO", pinned)
    assert (await read(None)).source == f"Calico {CALICO.version}"
    monkeypatch.setattr(manifest, "CALICO", replace(pinned, sha256="0" * 64))
    with pytest.raises(KindError, match=f"is not the manifest .* expects .sha256 {digest}"):
        await read(None)


def test_the_pinned_version_is_the_same_everywhere() -> None:
    assert f"/{CALICO.version}/" in CALICO.url
    assert all(image.endswith(f":{CALICO.version}") for image in CALICO.images)
