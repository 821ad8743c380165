"""The tables against the specification, the machine and the documents made from them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from alts_model import CLIENT, ERRORS, SERVER, check, checks, illegal_pairs, reaction, tables, violation
from alts_model.diagram import dot, mermaid, page, specification_table, svg
from alts_model.tables import INPUTS, RECORD, STATES, TABLES, Role

ROOT = Path(__file__).resolve().parents[2]
ROLES: tuple[Role, Role] = ("client", "server")


@pytest.mark.req("HS-2", "HS-6", "HS-7", "HS-8", "HS-9")
def test_every_check_of_the_tables_holds_and_none_is_skipped() -> None:
    results = check.run_checks(check.repository())
    assert [(result.name, result.findings) for result in results if result.findings] == []
    assert [result.name for result in results if result.skipped] == []
    assert {one.name for one in checks.ALL} <= {result.name for result in results}
    assert len(results) >= 13 + len(checks.ALL)


def test_outside_the_repository_document_checks_are_skipped_and_counted() -> None:
    skipped = [result.name for result in check.run_checks(None) if result.skipped]
    assert skipped == ["specification table", "error codes", "state machine page"]


def test_a_wrong_table_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = (ROOT / "SPEC.md").read_text(encoding="utf-8")
    (tmp_path / "SPEC.md").write_text(
        spec.replace("| `server_init` | acceptable (5.5)", "| `server_init` | –"), "utf-8"
    )
    assert len(list(check.specification_differs(tmp_path))) == 2
    (tmp_path / "SPEC.md").write_text(spec.replace("| 13 | `BAD_SIGNATURE`", "| 23 | `BAD_SIGNATURE`"), "utf-8")
    assert list(check.error_codes_differ(tmp_path)) == ["BAD_SIGNATURE differs"]
    assert len(list(check.page_differs(tmp_path))) == 1
    monkeypatch.setattr(check, "CLIENT", (*CLIENT, replace(CLIENT[0], next_state="OPEN", guard="no such")))
    assert len(check.determinism().findings) == 1
    assert len(check.walkable().findings) == 1
    assert len(check.claims().findings) == 1
    monkeypatch.setattr(check, "RECORD", RECORD[1:])
    assert check.record_counters().findings
    monkeypatch.setitem(TABLES, "server", tuple(row for row in SERVER if row.input != "client_init"))
    assert "server: WAIT_CLIENT_FINISHED cannot be reached" in check.reachability().findings
    monkeypatch.setitem(TABLES, "server", (replace(SERVER[0], requirements=("HS-0", "HS-99")),))
    assert len(check.requirement_ids(ROOT).findings) == 3


def test_every_pair_is_a_row_or_illegal() -> None:
    for role in ROLES:
        rows = {(row.state, row.input) for row in TABLES[role]}
        pairs = {(state, name) for state in STATES[role] for name in INPUTS}
        assert rows | set(illegal_pairs(role)) == pairs
        assert not rows & set(illegal_pairs(role))


@pytest.mark.parametrize(
    ("role", "state", "input_name", "expected"),
    [
        ("client", "OPEN", "client_init", "violation"),
        ("client", "OPEN", "start", "misuse"),
        ("client", "START", "alert", "violation"),
        ("server", "CLOSED", "data", "ignored"),
        ("server", "FAILED", "close", "ignored"),
        ("server", "FAILED", "send", "misuse"),
        ("server", "WAIT_CLIENT_INIT", "client_init", "row"),
    ],
)
def test_reactions(role: Role, state: str, input_name: str, expected: str) -> None:
    assert reaction(role, state, input_name) == expected


@pytest.mark.req("HS-2")
def test_violations_of_the_table() -> None:
    assert violation("client", "START", "data") == ("UNEXPECTED_MESSAGE", True)
    assert violation("server", "OPEN", "alert") == ("UNEXPECTED_MESSAGE", False)
    assert violation("server", "WAIT_CLIENT_INIT", "end") == ("TRUNCATED", False)
    with pytest.raises(ValueError, match="no violation"):
        violation("server", "WAIT_CLIENT_INIT", "client_init")


@pytest.mark.req("REC-4", "REC-6")
@pytest.mark.parametrize(
    ("counter", "guard"),
    [
        (0, "the key stays"),
        (2**16 - 2, "the key stays"),
        (2**16 - 1, "the key changes after this frame"),
        (2**16, "the key stays"),
        (2**64 - 2, "the key stays"),
        (2**64 - 1, "the last frame"),
    ],
)
def test_record_guards(counter: int, guard: str) -> None:
    holding = [row.guard for row in RECORD if row.state == "COUNTING" and row.input == "frame"]
    assert [name for name in holding if tables.record_guard(name, counter)] == [guard]


def test_the_generated_page_is_current() -> None:
    assert (ROOT / "docs" / "state-machines.md").read_text(encoding="utf-8") == page()


def test_the_specification_has_the_generated_table() -> None:
    assert specification_table() in (ROOT / "SPEC.md").read_text(encoding="utf-8")


def test_error_names_are_unique_and_in_order() -> None:
    codes = [error.code for error in ERRORS.values()]
    assert codes == sorted(set(codes))


@pytest.mark.parametrize("table", ["client", "server", "record"])
def test_diagrams_hold_every_state_and_row(table: str) -> None:
    states = set(STATES[table])
    tree = ElementTree.fromstring(svg(table))
    texts = [element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert states <= set(texts)
    assert len(texts) == len(states) + len(TABLES[table])
    edges = [line for line in dot(table).splitlines() if "label=" in line]
    assert len(edges) == len(TABLES[table])
    lines = [line for line in mermaid(table).splitlines() if " : " in line]
    assert [re.split(r" --> | : ", line.strip())[:2] for line in lines] == [
        [row.state, row.next_state] for row in TABLES[table]
    ]
