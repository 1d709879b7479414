"""Every format: deterministic, well-formed, and safe with hostile names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from netprobe.model.verdict import Verdict
from netprobe.report import GRAPH_FORMATS
from netprobe.report.graph import Graph, GraphOptions, pictures
from netprobe.report.graph.layout import layout
from netprobe.report.page import asset
from tests.report.graph.samples import HOSTILE, build, cell, everybody, hostile

SMALL = [cell("frontend/web", "backend/api", 8080), cell("internet", "frontend/web", 443)]


def text(graph: Graph, format_: str) -> str:
    return "".join(GRAPH_FORMATS.render(graph, format_))


@pytest.mark.parametrize("format_", GRAPH_FORMATS.names)
def test_the_same_cells_give_the_same_text(format_: str) -> None:
    assert text(build(SMALL), format_) == text(build(list(SMALL)), format_)
    assert text(build([]), format_), "an empty graph is drawn"


@pytest.mark.parametrize("format_", GRAPH_FORMATS.names)
def test_the_text_can_be_encoded_and_printed(format_: str) -> None:
    written = text(hostile(), format_)
    written.encode("utf-8")
    assert all(character.isprintable() or character == "\n" for character in written)


def test_mermaid_labels_hold_plain_characters_only() -> None:
    """A label ends at a quote; `#` begins an entity, and all of ours are decimal numbers."""
    for line in text(hostile(), "mermaid").splitlines()[1:]:
        for label in re.findall(r'"([^"]*)"', line):
            assert re.fullmatch(r"(#\d+;|[\w ,:()/.+-])*", label, re.ASCII), line
        bare = re.sub(r'"[^"]*"', '""', line)
        assert re.fullmatch(
            r'  subgraph \w+\[""\]|  end| +\w+(\[""\]|\(\[""\]\))|  linkStyle [\w ,:#-]+'
            r'|  \w+ -(->|\.-x|\.-o)\|""\| \w+',
            bare,
        ), line


def test_mermaid_draws_no_arrow_between_a_frame_and_its_own_box() -> None:
    """Mermaid stops at those: "would create a cycle"."""
    graph = build(everybody([f"a/p{n}" for n in range(8)]), GraphOptions(bundle=True, group=False))
    arrows = [line for line in text(graph, "mermaid").splitlines() if "-->" in line]
    assert arrows == ['  ns_a_all -->|"80"| ns_a_all']


def test_dot_strings_end_where_they_should() -> None:
    written = text(hostile(), "dot")
    bare = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', written)
    assert '"' not in bare.replace('""', "")
    assert "http:" not in bare
    assert bare.count("{") == bare.count("}")


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz' dot is not installed")
@pytest.mark.parametrize("graph", [build(SMALL), hostile()], ids=["small", "hostile"])
def test_dot_reads_it(graph: Graph) -> None:
    done = subprocess.run(
        ["dot", "-Tplain"], input=text(graph, "dot"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nedge ") == len(graph.edges)


def test_svg_is_xml_with_every_box_and_arrow() -> None:
    graph = hostile()
    root = ET.fromstring(text(graph, "svg"))  # noqa: S314 (our own)
    kinds = [element.get("class", "").split()[0] for element in root.iter("{http://www.w3.org/2000/svg}g")]
    assert kinds.count("node") == len(graph.nodes)
    assert kinds.count("edge") == len(graph.edges)
    names = {element.tag.partition("}")[2] for element in root.iter()}
    assert names == {"svg", "style", "title", "rect", "g", "path", "text"}


@pytest.mark.parametrize("format_", ["svg", "html"])
def test_nothing_refers_to_anything_outside(format_: str) -> None:
    written = text(build(SMALL), format_)
    assert set(re.findall(r"\w+://[^\"' ]*", written)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in written
    assert "@import" not in written


def test_the_data_of_the_page_is_what_was_put_in() -> None:
    data = text(hostile(), "html").partition('id="data">')[2].partition("</script>")[0]
    assert not set("<>&") & set(data)
    kept = {name for name in HOSTILE if name.isprintable()}
    assert len(kept) >= 8
    assert kept <= {node["namespace"] for node in json.loads(data)["nodes"]}


def test_boxes_lie_in_their_frame_and_on_no_other_box() -> None:
    cells = [cell(f"n{n % 7}/p{n}", f"n{(n * 3) % 7}/p{(n * 5) % 90}", n % 9 + 1) for n in range(90)]
    made = layout(build([one for one in cells if one[0] != one[1]], GraphOptions(group=False)))
    for block in made.blocks:
        assert 0 <= block.x < block.x + block.width <= made.width
        assert 0 <= block.y < block.y + block.height <= made.height
        for box in block.boxes:
            assert block.x < box.x < box.x + box.width <= block.x + block.width
        for above, below in pairwise(block.boxes):
            assert above.y + above.height < below.y
        assert not block.boxes or block.boxes[-1].y + block.boxes[-1].height <= block.y + block.height
    for column in made.columns:
        for upper, lower in pairwise(column):
            assert upper.y + upper.height < lower.y
    for one, other in pairwise(made.columns):
        assert max(block.x + block.width for block in one) < min(block.x for block in other)


def test_a_colour_that_means_something_is_not_used_for_namespaces() -> None:
    colours = re.findall(r"--(\w+): (#[0-9a-f]{6})", asset("colours.css"))
    meaning = {colour for name, colour in colours if name in {"good", "bad", "denied", "unsure"}}
    hues = [colour for name, colour in colours if re.fullmatch(r"h\d", name)]
    assert len(meaning) == 8, "four, light and dark"
    assert not meaning & set(hues)
    assert len(set(hues)) == len(hues)


def test_many_blocks_fill_their_columns_evenly() -> None:
    """Ten namespaces of twenty pods that all call each other are no long tail at the end of a row."""
    pods = [f"n{space}/p{number}" for space in range(10) for number in range(20)]
    cells = [cell(pods[one], pods[(one * 7 + step) % 200], 80) for one in range(200) for step in (1, 50, 111)]
    made = layout(build(cells, GraphOptions(group=False, bundle=False, by_namespace=False)))
    heights = [sum(block.height for block in column) for column in made.columns]
    assert len(made.blocks) == 10
    assert max(heights) < 1.5 * sum(heights) / len(heights)
    assert made.height < 2 * made.width


def test_with_too_many_arrows_a_picture_has_those_that_are_not_as_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "MOST_ARROWS", 2)
    cells = [*SMALL, cell("a/x", "b/y", declared=Verdict.DENY), cell("b/y", "a/x")]
    drawn = text(build(cells), "html")
    assert drawn.count('class="edge') == 1
    assert "3 arrows are too many to draw" in drawn
    assert '"pairs":{"0":{"1":' in drawn, "the flows are all there"
