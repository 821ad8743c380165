"""Message sequence charts: well-formed, complete, the same every time."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_proofs.chart import Step, sequence_chart

_SVG = "{http://www.w3.org/2000/svg}"
_TEXT = st.text(max_size=120)
_STEPS = st.lists(st.builds(Step, *(st.sampled_from(["client", "server", "attacker"]),) * 2, _TEXT, _TEXT), max_size=8)


def _words(svg: str, kind: str) -> list[str]:
    return [
        element.text or ""
        for element in ElementTree.fromstring(svg).iter(f"{_SVG}text")
        if element.get("class") == kind
    ]


def test_a_message_is_an_arrow_from_sender_to_receiver() -> None:
    there = sequence_chart([("client", "server", "ClientInit", "in clear")])
    back = sequence_chart([("server", "client", "ClientInit", "")], participants=("client", "server"))
    ends = []
    for svg in (there, back):
        (line,) = [e for e in ElementTree.fromstring(svg).iter(f"{_SVG}line") if e.get("class") == "message"]
        ends.append(int(line.attrib["x2"]) - int(line.attrib["x1"]))
    assert ends[0] > 0 > ends[1]
    assert _words(there, "name") == _words(back, "name") == ["client", "server"]
    assert _words(there, "label") == ["ClientInit"]
    assert (_words(there, "note"), _words(back, "note")) == (["in clear"], [])


def test_a_step_without_a_message_is_a_box() -> None:
    root = ElementTree.fromstring(sequence_chart([("thief", "thief", "takes the key", "")]))
    assert not [e for e in root.iter(f"{_SVG}line") if e.get("class") == "message"]
    assert [e for e in root.iter(f"{_SVG}rect") if e.get("class") == "local"]


def test_long_labels_are_wrapped_and_kept_whole_in_the_hint() -> None:
    label = "encrypt(" + ",".join(f"term{n}" for n in range(200)) + ")"
    svg = sequence_chart([("a", "b", label, "")], title="one")
    lines = _words(svg, "label")
    assert 1 < len(lines) <= 7
    assert lines[-1] == "…"
    hints = [element.text for element in ElementTree.fromstring(svg).iter(f"{_SVG}title")]
    assert hints == ["one", f"1. a -> b: {label}"]


def test_short_labels_lose_nothing() -> None:
    label = "ClientInit, ServerInit and a record that tells who is here and why"
    assert " ".join(_words(sequence_chart([("a", "b", label, "")]), "label")) == label


@given(_STEPS, _TEXT)
def test_any_text_gives_a_well_formed_document_and_the_same_one_again(steps: list[Step], title: str) -> None:
    svg = sequence_chart(steps, title=title, participants=("client", "server"))
    root = ElementTree.fromstring(svg)
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    for element in root.iter():
        for name in ("x", "x1", "x2"):
            assert 0 <= int(element.get(name, 0)) <= width
        for name in ("y", "y1", "y2"):
            assert 0 <= int(element.get(name, 0)) <= height
    assert sum(element.get("class") == "number" for element in root.iter()) == len(steps)
    again = sequence_chart(
        [(s.source, s.target, s.label, s.note) for s in steps], title=title, participants=("client", "server")
    )
    assert again == svg


def test_a_chart_of_nobody_is_refused() -> None:
    for steps in ([], [("", "b", "", "")]):
        with pytest.raises(ValueError, match="participants"):
            sequence_chart(steps)
