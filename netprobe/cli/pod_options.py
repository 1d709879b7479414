"""The options of probe pods, the same for every command that creates some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from netprobe.cli.options import grouped

if TYPE_CHECKING:
    from netprobe.probe import PodOptions

F = TypeVar("F", bound=Callable[..., Any])

IMAGE: Final = "docker.io/library/alpine:3.20"
EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class PairType(click.ParamType[tuple[str, str]]):
    """ "disk=ssd"."""

    name = "KEY=VALUE"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not (key and equals):
            self.fail(f"{value!r} is not of the form KEY=VALUE", param, ctx)
        return key, text


class TolerationType(click.ParamType[dict[str, str]]):
    """ "dedicated=infra:NoSchedule", "dedicated=infra", "dedicated:NoSchedule", "dedicated", "*"."""

    name = "KEY[=VALUE][:EFFECT]"

    def convert(
        self, value: str | dict[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        if value == "*":
            return {"operator": "Exists"}
        taint, colon, effect = value.partition(":")
        key, equals, text = taint.partition("=")
        if not key or (colon and effect not in EFFECTS):
            wanted = f"KEY[=VALUE][:EFFECT] with an effect of {', '.join(EFFECTS)}, or * for every taint"
            self.fail(f"{value!r} is not of the form {wanted}", param, ctx)
        toleration = {"key": key, "operator": "Equal" if equals else "Exists"}
        return toleration | ({"value": text} if equals else {}) | ({"effect": effect} if colon else {})


@dataclass(frozen=True, slots=True)
class PodFlags:
    """The options as given."""

    image: str
    registry: str | None
    pull_secret: str | None
    node_selectors: Sequence[tuple[str, str]]
    tolerations: Sequence[dict[str, str]]
    print_images: bool

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> PodFlags:
        """Take these options out of a command's keyword arguments."""
        return cls(**{one.name: options.pop(one.name) for one in fields(cls)})

    @property
    def images(self) -> tuple[str, ...]:
        """The images that the cluster's nodes have to have."""
        from netprobe.model.image import mirrored

        return (mirrored(self.image, self.registry),)

    def pods(self, lifetime_s: int = 3600) -> PodOptions:
        """The options of the pods; each ends by itself after `lifetime_s`."""
        from netprobe.probe import PodOptions

        return PodOptions(
            self.images[0], lifetime_s, self.pull_secret, dict(self.node_selectors), tuple(self.tolerations)
        )


def pod_options(function: F) -> F:
    """--image and the other options of probe pods, as `PodFlags.taken_from` takes them."""
    return grouped(
        click.option(
            "--image",
            metavar="IMAGE",
            default=IMAGE,
            show_default=True,
            help="Image of the probe pods; it needs a shell and nc.",
        ),
        click.option(
            "--registry",
            metavar="HOST[/PREFIX]",
            help="Pull the image from this mirror: replaces the host in its name.",
        ),
        click.option(
            "--pull-secret",
            metavar="NAME",
            help="Image pull secret; it must exist in every namespace that is used.",
        ),
        click.option(
            "--node-selector",
            "node_selectors",
            type=PairType(),
            multiple=True,
            metavar="KEY=VALUE",
            help="Run probe pods only on nodes with this label. Repeatable.",
        ),
        click.option(
            "--toleration",
            "tolerations",
            type=TolerationType(),
            multiple=True,
            metavar="KEY[=VALUE][:EFFECT]",
            help="A taint that probe pods tolerate; * for every taint. Repeatable.",
        ),
        click.option(
            "--print-images",
            is_flag=True,
            help="Print the images that nodes need (for clusters without internet access), and exit.",
        ),
    )(function)


def print_images(flags: PodFlags) -> int:
    """Answer --print-images; returns the exit status."""
    print("\n".join(flags.images))
    return 0
