"""Where a mirror has an image."""

from __future__ import annotations

import pytest

from netprobe.model.image import mirrored


@pytest.mark.parametrize(
    ("image", "in_mirror"),
    [
        ("docker.io/library/alpine:3.20", "m/library/alpine:3.20"),
        ("alpine:3.20", "m/library/alpine:3.20"),
        ("alpine", "m/library/alpine"),
        ("calico/node:v3", "m/calico/node:v3"),
        ("quay.io/calico/node:v3", "m/calico/node:v3"),
        ("localhost/a:1", "m/a:1"),
        ("host:5000/a/b@sha256:0123", "m/a/b@sha256:0123"),
    ],
)
def test_the_host_of_a_name_gives_way(image: str, in_mirror: str) -> None:
    assert mirrored(image, "m") == in_mirror
    assert mirrored(image, "r.example:5000/hub/") == f"r.example:5000/hub/{in_mirror.removeprefix('m/')}"
    assert mirrored(image, None) == image
