"""`alts doctor --trace`: only what ran and passed counts, and a gap is a finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alts_conformance import _trace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the documents of this one, and a record in which one test passed for every requirement."""
    for name in ("SPEC.md", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    names = [row["id"] for row in json.loads((ROOT / "docs" / "requirements.json").read_text())["requirements"]]
    write(tmp_path, {name: {"passed": ["tests/x.py::test_x"], "failed": [], "skipped": []} for name in names})
    return tmp_path


def write(root: Path, requirements: dict[str, Any], complete: bool = True) -> None:
    (root / "build").mkdir(exist_ok=True)
    document = {"complete": complete, "requirements": requirements}
    (root / "build" / "requirements-tests.json").write_text(json.dumps(document))


def shown(root: Path, as_json: bool = False) -> tuple[int, str]:
    lines: list[str] = []
    return _trace.run(as_json=as_json, show=lines.append, root=root), "\n".join(lines)


def test_evidence_of_every_kind_is_collected(checkout: Path) -> None:
    table = _trace.collect(checkout)
    assert table.failures == []
    trace = table.traces["HS-5"]
    assert "7.4" in trace.clauses
    assert trace.tests == ["tests/x.py::test_x"]
    assert "key_schedule/honest" in trace.vectors
    assert any("client" in name for name in table.traces["HS-6"].model)
    assert trace.conformance == trace.proofs == []
    assert any("no conformance run" in note for note in table.notes)


def test_a_requirement_without_a_passing_test_is_a_gap(checkout: Path) -> None:
    write(checkout, {"HS-5": {"passed": [], "failed": [], "skipped": ["tests/x.py::test_x"]}}, complete=False)
    code, text = shown(checkout)
    assert code == _trace.FINDINGS
    assert "GAP: HS-5: no tests\n" in text
    assert "GAP: REC-1" not in text, "not one of the groups"
    assert "some tests only" in text


def test_a_failed_test_is_a_finding_though_another_passed(checkout: Path) -> None:
    write(checkout, {"HS-5": {"passed": ["a"], "failed": ["tests/x.py::test_y"], "skipped": []}})
    code, text = shown(checkout)
    assert code == _trace.FINDINGS
    assert "FAILED: test tests/x.py::test_y failed" in text


def test_a_vector_that_fails_is_no_evidence(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name = "broken"

    monkeypatch.setattr(_trace, "TARGET", Broken())
    table = _trace.collect(checkout)
    assert not any(trace.vectors for trace in table.traces.values())
    assert len([line for line in table.failures if line.startswith("vector ")]) > 900


def test_only_conformance_cases_that_passed_count(checkout: Path) -> None:
    folder = checkout / "build" / "conform"
    folder.mkdir()
    results = [
        {"case": f"hs::{verdict}", "verdict": verdict, "requirements": ["HS-5"]}
        for verdict in ("pass", "fail", "known", "skipped")
    ]
    (folder / "report.json").write_text(json.dumps({"results": results}))
    assert _trace.collect(checkout).traces["HS-5"].conformance == ["hs::pass"]


def test_a_checkout_where_nothing_ran_is_no_finding_but_a_failure_of_the_harness(
    tmp_path: Path, checkout: Path
) -> None:
    (checkout / "build" / "requirements-tests.json").unlink()
    code, text = shown(checkout)
    assert code == _trace.HARNESS
    assert "make test" in text


def test_clauses_are_what_the_specification_says() -> None:
    text = (
        '- <a id="a"></a>**1.1** Something (HS-5).\n| row | RES-1 to RES-3 |\n'
        '  - <a id="b"></a>**13.1.2** (CRED-1)\n## HS-9\nHS-9\n'
    )
    assert list(_trace.clauses(text)) == [
        ("1.1", "HS-5"),
        ("1.1", "RES-1"),
        ("1.1", "RES-2"),
        ("1.1", "RES-3"),
        ("13.1.2", "CRED-1"),
    ]


def test_the_document_for_machines(checkout: Path) -> None:
    code, text = shown(checkout, as_json=True)
    document = json.loads(text)
    rows = {row["id"]: row for row in document["requirements"]}
    assert rows["HS-5"]["gaps"] == []
    assert (code == _trace.OK) is not any(
        row["gaps"] for name, row in rows.items() if name.partition("-")[0] in _trace.GROUPS
    )
