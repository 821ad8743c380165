"""Pictures and documentation, all computed from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from alts_model.tables import (
    CLIENT,
    FINAL_STATES,
    NO_GUARD,
    RECORD_INPUTS,
    SERVER,
    STATES,
    TABLES,
    Role,
    Transition,
    illegal_pairs,
    reaction,
    violation,
)

_OUTPUT_TEXT: Final = {"payload": "payload to the application", "data": "records"}
_WHAT: Final = {
    "client": "The client",
    "server": "The server",
    "record": "The record counter of one direction",
}


def _edge_label(row: Transition) -> str:
    output = ", ".join(row.output)
    guard = "" if row.guard == NO_GUARD else f" [{row.guard}]"
    return f"{row.input}{guard}" + (f" / {output}" if output else "")


def dot(table: str) -> str:
    """A table as Graphviz DOT."""
    lines = [f"digraph {table} {{", "  rankdir=TB;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    lines.append(f'  "" [shape=point]; "" -> "{STATES[table][0]}";')
    lines += [f'  "{state}"' + (" [peripheries=2];" if state in FINAL_STATES else ";") for state in STATES[table]]
    lines += [f'  "{row.state}" -> "{row.next_state}" [label="{_edge_label(row)}"];' for row in TABLES[table]]
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(table: str) -> str:
    """A table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"  [*] --> {STATES[table][0]}"]
    for row in TABLES[table]:
        # A colon or a semicolon would end the label.
        label = _edge_label(row).replace(":", " ").replace(";", " ")
        lines.append(f"  {row.state} --> {row.next_state} : {label}")
    lines += [f"  {state} --> [*]" for state in STATES[table] if state in FINAL_STATES]
    return "\n".join(lines) + "\n"


_BOX = (190, 36)
_STEP = 130
_MIDDLE, _LEFT, _RIGHT = 470, 120, 930


def svg(table: str) -> str:
    """A table as SVG: the way to the last state from top to bottom, CLOSED to the left of it, FAILED to the right."""
    middle = [state for state in STATES[table] if state not in FINAL_STATES]
    places = {state: (_MIDDLE, 50 + index * _STEP) for index, state in enumerate(middle)}
    bottom = 50 + len(middle) * _STEP
    places |= {
        state: (_LEFT if state == "CLOSED" else _RIGHT, bottom) for state in STATES[table] if state in FINAL_STATES
    }
    height = bottom + 60
    # A loop goes to the side on which its state has no arrow to FAILED.
    failing = {row.state for row in TABLES[table] if row.next_state == "FAILED"}
    body = [line for group in _grouped(table) for line in _edge(group, places, group[0] in failing)]
    for state, (x, y) in places.items():
        width, tall = _BOX
        stroke = 3 if state in FINAL_STATES else 1.5
        body.append(
            f'<rect x="{x - width / 2:g}" y="{y - tall / 2:g}" width="{width}" height="{tall}" rx="8" fill="#fff" '
            f'stroke="#333" stroke-width="{stroke}"/>'
        )
        body.append(f'<text x="{x}" y="{y + 4}" text-anchor="middle" font-weight="bold">{escape(state)}</text>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1040 {height}" width="1040" height="{height}" '
        'font-family="sans-serif" font-size="11" role="img">'
    )
    marker = (
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#333"/></marker></defs>'
    )
    title = f"<title>{_WHAT[table]}</title>"
    background = f'<rect width="1040" height="{height}" fill="#fff"/>'
    return "\n".join([head, title, marker, background, *body, "</svg>"]) + "\n"


def _grouped(table: str) -> Iterator[tuple[str, str, list[str]]]:
    """(state, next state, labels): one arrow for all rows between two states."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in TABLES[table]:
        groups.setdefault((row.state, row.next_state), []).append(_edge_label(row))
    for (state, following), labels in groups.items():
        yield state, following, labels


def _edge(group: tuple[str, str, list[str]], places: dict[str, tuple[int, int]], loop_left: bool) -> Iterator[str]:
    state, following, labels = group
    (x, y), (to_x, to_y) = places[state], places[following]
    label_x: float
    label_y: float
    half, tall = _BOX[0] / 2, _BOX[1] / 2
    if state == following:
        side = -1 if loop_left else 1
        edge, far = x + side * half, x + side * (half + 60)
        path = f"M{edge:g} {y - 8} C{far:g} {y - 34} {far:g} {y + 34} {edge:g} {y + 8}"
        label_x, label_y, anchor = x + side * (half + 52), y - 6, "end" if loop_left else "start"
    elif to_x == x:
        path = f"M{x} {y + tall:g} L{to_x} {to_y - tall:g}"
        label_x, label_y, anchor = x + 8, (y + to_y) / 2, "start"
    elif to_x < x:
        path = f"M{x - half:g} {y} Q{to_x} {y} {to_x} {to_y - tall:g}"
        label_x, label_y, anchor = x - half - 10, y - 6 - 13 * (len(labels) - 1), "end"
    else:
        path = f"M{x + half:g} {y} Q{to_x} {y} {to_x} {to_y - tall:g}"
        label_x, label_y, anchor = x + half + 10, y - 6 - 13 * (len(labels) - 1), "start"
    yield f'<path d="{path}" fill="none" stroke="#333" marker-end="url(#arrow)"/>'
    for index, label in enumerate(labels):
        yield f'<text x="{label_x:g}" y="{label_y + 13 * index:g}" text-anchor="{anchor}">{escape(label)}</text>'


def markdown_table(table: str) -> str:
    """All rows of one table, one by one."""
    lines = ["| state | input | guard | output | next state | claim | requirements |", "|---|---|---|---|---|---|---|"]
    for row in TABLES[table]:
        cells = (
            f"`{row.state}`",
            f"`{row.input}`",
            row.guard,
            _output(row),
            f"`{row.next_state}`",
            row.claim or "–",
            ", ".join(row.requirements),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _output(row: Transition) -> str:
    return ", ".join(_OUTPUT_TEXT.get(name, name) for name in row.output) or "–"


def specification_table() -> str:
    """The table of SPEC.md 2.1: rows that are the same for both roles, or for many states, are written once."""
    lines = [
        "| role | state | input | guard | output | next state | requirements |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[object, ...], set[tuple[str, str]]] = {}
    first: dict[tuple[object, ...], Transition] = {}
    for row in CLIENT + SERVER:
        own: str = row.role if row.claim or row.next_state.startswith("WAIT_") else "both"
        key: tuple[object, ...] = (own, row.input, row.guard, row.output, row.next_state, row.requirements)
        groups.setdefault(key, set()).add((row.role, row.state))
        first.setdefault(key, row)
    ordered = sorted(groups, key=lambda key: ("client", "server", "both").index(str(key[0])))
    for key in ordered:
        row, role = first[key], str(key[0])
        cells = (
            role,
            _states_text(role, groups[key]),
            f"`{row.input}`",
            row.guard,
            _output(row),
            f"`{row.next_state}`",
            ", ".join(row.requirements),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _states_text(role: str, where: set[tuple[str, str]]) -> str:
    roles = ("client", "server") if role == "both" else (role,)
    everywhere = {(name, state) for name in roles for state in STATES[name]}
    if where == {(name, state) for name, state in everywhere if state.startswith("WAIT_")} and role == "both":
        return "every `WAIT_…`"
    if where == {(name, state) for name, state in everywhere if state not in FINAL_STATES}:
        return "every but `CLOSED`, `FAILED`"
    states = sorted({state for _, state in where})
    if len(states) != 1 or where != {(name, states[0]) for name in roles}:
        raise ValueError(f"no words for {sorted(where)}")
    return f"`{states[0]}`"


def reaction_table(role: Role) -> str:
    """What happens on every (state, input) pair without a row, one line a state and reaction."""
    lines = ["| state | inputs without a row | what happens |", "|---|---|---|"]
    groups: dict[tuple[str, str], list[str]] = {}
    for state, input_name in illegal_pairs(role):
        groups.setdefault((state, _reaction_text(role, state, input_name)), []).append(f"`{input_name}`")
    lines += [f"| `{state}` | {', '.join(inputs)} | {text} |" for (state, text), inputs in groups.items()]
    return "\n".join(lines) + "\n"


def _reaction_text(role: Role, state: str, input_name: str) -> str:
    kind = reaction(role, state, input_name)
    if kind == "violation":
        error, alerts = violation(role, state, input_name)
        return f"`{error}`, with alert" if alerts else f"`{error}`, nothing sent"
    return {"misuse": "the caller's error, nothing changes", "ignored": "nothing"}[kind]


def page() -> str:
    """docs/state-machines.md."""
    parts = [
        "# State machines",
        "",
        "Generated from `model/alts_model/tables.py` by `alts model diagram --format markdown`; do not edit.",
        "The rules behind them are sections 2 and 8 of [SPEC.md](../SPEC.md).",
        "",
    ]
    roles: tuple[Role, Role] = ("client", "server")
    for role in roles:
        parts += [f"## {_WHAT[role]}", "", "```mermaid", mermaid(role).rstrip(), "```", "", markdown_table(role)]
        parts += [
            f"{len(illegal_pairs(role))} (state, input) pairs have no row (SPEC.md 2.2 to 2.4):",
            "",
            reaction_table(role),
        ]
    parts += [
        f"## {_WHAT['record']}",
        "",
        f"Inputs are {' and '.join(f'`{name}`' for name in RECORD_INPUTS)}; a sender has only the first.",
        "",
        "```mermaid",
        mermaid("record").rstrip(),
        "```",
        "",
        markdown_table("record").rstrip(),
    ]
    return "\n".join(parts) + "\n"


FORMATS: Final = {"dot": dot, "mermaid": mermaid, "svg": svg}
"""Name to function of a table's name."""
