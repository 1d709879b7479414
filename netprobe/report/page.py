"""HTML pages from templates: each page is one file that works offline and loads nothing.

A template extends `templates/base.html` and fills its blocks. `page` adds what all pages share: the colours
(light and dark), the page's own style sheets and script, and the data that the script reads.

No name can act in a page: every value that a template prints is escaped, with control characters made
visible; data is JSON in which `<` is written as an escape; and the Content-Security-Policy allows this one
style and this one script, and no request. Scripts must write text with `textContent` or `append`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from netprobe.model.text import plain

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def page(
    template: str,
    *,
    styles: Sequence[str] = (),
    script: str | None = None,
    data: object = None,
    **values: object,
) -> Iterator[str]:
    """The page, piece by piece.

    `template`, `styles` and `script` are names of files in `templates/`. `data` is anything that JSON can
    hold; the script finds it in the element with the id "data". `values` are the template's variables.
    """
    style = "".join(map(asset, ("colours.css", "base.css", *styles)))
    code = asset(script) if script else ""
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(code)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return template_text(
        template, policy=policy, style=markup(style), script=markup(code), data=_json(data), **values
    )


def template_text(template: str, **values: object) -> Iterator[str]:
    """The text of a template that is not a page, such as an SVG drawing."""
    return _environment().get_template(template).generate(values)


@cache
def asset(name: str) -> str:
    return files("netprobe.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only pages pay for it

    return Environment(
        loader=PackageLoader("netprobe.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # What is printed for a value is text without control characters. Markup and numbers stay.
        finalize=lambda value: plain(value) if type(value) is str else value,
    )


def markup(text: str) -> Markup:
    """Text that a template prints as it is: only for style sheets, scripts and JSON of our own."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704


def _json(value: object) -> Markup:
    """JSON that no name can end, as the text of a `script` element."""
    text = json.dumps(value, separators=(",", ":"))
    return markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
