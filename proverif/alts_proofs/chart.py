"""Message sequence charts as SVG, from a plain list of steps. Same steps, same bytes; nothing but the standard library.

`sequence_chart` takes steps in order. A step is a message from one participant to another, or, where both are the same,
something that a participant does by itself. Labels are wrapped to the room between the lifelines; what is longer than
a few lines is cut, and a browser shows the whole text when the pointer rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLUMN = 250
"""Pixels between two lifelines."""
_MARGIN = 125
_LINE = 15
_CHARACTER = 6.7
"""Pixels that a character of the monospaced face takes at 11 px, rounded up."""
_MOST_LINES = 7
_STYLE = (
    "text{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1b1f24}"
    ".title{font-size:14px;font-weight:bold}.name{font-weight:bold;text-anchor:middle}"
    ".label{text-anchor:middle}.note{text-anchor:middle;font-style:italic;fill:#57606a}.number{fill:#8c959f}"
    ".life{stroke:#8c959f;stroke-dasharray:4 4}.message{stroke:#0550ae;stroke-width:1.4}"
    ".head{fill:#ddf4ff;stroke:#0550ae}.local{fill:#fff8c5;stroke:#9a6700}.tip{fill:#0550ae}"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chart.

    Attributes:
        source: the participant who acts.
        target: who receives; the same name for something done without a message.
        label: what is sent or done.
        note: a remark under it, in italics; empty for none.
    """

    source: str
    target: str
    label: str
    note: str = ""


def sequence_chart(
    steps: Iterable[Step | tuple[str, str, str, str]], *, title: str = "", participants: Sequence[str] = ()
) -> str:
    """Draw a message sequence chart.

    Args:
        steps: in order of time; tuples are (source, target, label, note).
        title: a line above the chart.
        participants: names in the order of their columns; those that only steps name follow in order of appearance.

    Returns:
        One SVG document of one column a participant, ending in a line end. Two calls with equal arguments return equal
        text.

    Raises:
        ValueError: there is neither a step nor a participant, or one has an empty name.
    """
    rows = [step if isinstance(step, Step) else Step(*step) for step in steps]
    names = list(dict.fromkeys([*participants, *(name for row in rows for name in (row.source, row.target))]))
    if not names or not all(names):
        raise ValueError("a chart needs participants, each with a name")
    column = {name: _MARGIN + index * _COLUMN for index, name in enumerate(names)}
    width = 2 * _MARGIN + (len(names) - 1) * _COLUMN
    out: list[str] = []
    y = 16
    if title:
        lines = _wrap(title, width - 24, _CHARACTER * 14 / 11)
        out += [_text(12, y + 4 + 18 * index, line, "title") for index, line in enumerate(lines)]
        y += 18 * len(lines) + 4
    top, heads = y, []
    head_lines = {name: _wrap(name, _COLUMN - 40, _CHARACTER) for name in names}
    head_height = max(map(len, head_lines.values())) * _LINE + 10
    for name in names:
        heads.append(_box(column[name], top, _COLUMN - 30, head_height, "head"))
        heads += _lines(column[name], top + _LINE + 2, head_lines[name], "name")
    y += head_height + 12
    body: list[str] = []
    for number, row in enumerate(rows, 1):
        drawn, y = _row(number, row, column, y)
        body += drawn
    bottom = y + 6
    for name in names:
        x = column[name]
        out.append(f'<line class="life" x1="{x}" y1="{top + head_height}" x2="{x}" y2="{bottom}"/>')
    height = bottom + 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{_clean(title or 'message sequence chart')}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    )
    return "\n".join([*head, *out, *heads, *body, "</svg>"]) + "\n"


def _row(number: int, row: Step, column: dict[str, int], y: int) -> tuple[list[str], int]:
    """One step, and where the next one begins."""
    start, stop = column[row.source], column[row.target]
    local = start == stop
    room = _COLUMN - 44 if local else max(abs(stop - start) - 24, _COLUMN - 44)
    label = _cut(_wrap(row.label, room, _CHARACTER))
    note = _cut(_wrap(row.note, room, _CHARACTER)) if row.note else []
    middle = (start + stop) // 2
    hint = f"{number}. {row.source}{'' if local else ' -> ' + row.target}: {row.label}"
    out = ["<g>", f"<title>{_clean(hint + (f' ({row.note})' if row.note else ''))}</title>"]
    if local:
        height = (len(label) + len(note)) * _LINE + 8
        out.append(_box(start, y, _COLUMN - 30, height, "local"))
        out.append(_text(start - _COLUMN // 2 + 18, y + 11, str(number), "number"))
        out += _lines(middle, y + _LINE, label, "label") + _lines(middle, y + _LINE * (1 + len(label)), note, "note")
        return [*out, "</g>"], y + height + 12
    out += _lines(middle, y + _LINE, label, "label")
    y += _LINE * len(label) + 6
    forward = 1 if stop > start else -1
    out.append(f'<line class="message" x1="{start}" y1="{y}" x2="{stop - 7 * forward}" y2="{y}"/>')
    points = f"{stop},{y} {stop - 9 * forward},{y - 4} {stop - 9 * forward},{y + 4}"
    out.append(f'<polygon class="tip" points="{points}"/>')
    out.append(_text(start - 8 * forward - (0 if forward < 0 else 14), y + 4, str(number), "number"))
    out += _lines(middle, y + _LINE, note, "note")
    return [*out, "</g>"], y + _LINE * len(note) + 14


def _wrap(text: str, room: float, character: float) -> list[str]:
    """Cut at spaces, else behind commas and brackets, else anywhere; every line fits. At least one line."""
    most = max(4, int(room / character))
    lines: list[str] = []
    rest = " ".join(text.split())
    while len(rest) > most:
        at = rest.rfind(" ", 1, most + 1)
        if at < 1:
            at = max(rest.rfind(mark, 1, most) for mark in ",()=|")
            at = at + 1 if at > 0 else most
        lines.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*lines, rest]


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], "…"]


def _lines(x: int, y: int, lines: list[str], kind: str) -> list[str]:
    return [_text(x, y + _LINE * index, line, kind) for index, line in enumerate(lines)]


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{_clean(text)}</text>'


def _box(middle: int, y: int, width: int, height: int, kind: str) -> str:
    return f'<rect class="{kind}" x="{middle - width // 2}" y="{y}" width="{width}" height="{height}" rx="4"/>'


def _clean(text: str) -> str:
    """Escaped, without what XML 1.0 cannot hold."""
    kept = (
        c if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff") else "?"
        for c in text
    )
    return escape("".join(kept))
