"""`alts doctor --trace`: only what ran and passed counts, and a gap, a failed run or a missing record is a finding."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import alts_vectors
from alts_conformance import _trace, _trace_sources
from alts_proofs import load_manifest

ROOT = Path(__file__).resolve().parents[2]
NAMES = [row["id"] for row in json.loads((ROOT / "docs" / "requirements.json").read_text())["requirements"]]


def passed(*names: str) -> dict[str, Any]:
    return {name: {"passed": ["tests/x.py::test_x"], "failed": [], "skipped": []} for name in names}


def records() -> dict[str, Any]:
    """A record of every kind, of runs in which all went well."""
    cases = [
        {"id": case["id"], "passed": True, "mismatch": ""}
        for document in alts_vectors.load_all().values()
        for group in document["testGroups"]
        for case in group["tests"]
    ]
    queries = [
        {"query": name, "expected": query.expected, "result": query.expected}
        for name, query in load_manifest().queries.items()
    ]
    check = {"name": "totality", "findings": [], "skipped": None, "requirements": ["HS-2"]}
    run = {"scenario": "replicas", "without": [], "evidence": ["TRADE-1"]}
    result = {"case": "hs::x", "peers": ["reference"], "verdict": "pass", "requirements": ["HS-5"]}
    attack = {"name": "kci", "requirements": ["TRADE-1"], "trials": [{"as_told": True}]}
    return {
        "requirements-tests.json": {"complete": True, "exit": 0, "requirements": passed(*NAMES)},
        "vectors.json": {"cases": cases},
        "model-checks.json": {"checks": [check]},
        "model.json": {"exit": 0, "runs": [run]},
        "prove.json": {"engine": "builtin", "version": "1", "files": [{"file": "x.pv", "queries": queries}]},
        "conform/report.json": {"interrupted": False, "errors": [], "results": [result]},
        "attacks/report.json": {"attacks": [attack]},
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the documents of this one, and a record of every kind."""
    for name in ("SPEC.md", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, document in records().items():
        write(tmp_path, name, document)
    return tmp_path


def write(root: Path, name: str, document: Any) -> None:
    path = root / "build" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def changed(root: Path, name: str, change: Callable[[Any], None]) -> None:
    document = json.loads((root / "build" / name).read_text())
    change(document)
    write(root, name, document)


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
    assert trace.conformance == ["hs::x"]
    assert any("client" in name for name in table.traces["HS-6"].model)
    assert table.traces["HS-2"].model[0] == "check totality"
    assert table.traces["TRADE-1"].model == ["search replicas"]
    assert table.traces["TRADE-1"].attacks == ["kci"]
    assert f"{len(load_manifest().queries)} queries of 1 scripts, engine builtin" in table.traces["HS-13"].proofs


def test_with_all_records_in_order_no_requirement_has_a_gap(checkout: Path) -> None:
    """Clauses and vectors are the real ones here; tests of every requirement are assumed."""
    changed(checkout, "model-checks.json", lambda document: document["checks"].append(PLAIN))
    code, text = shown(checkout)
    assert (code, [line for line in text.splitlines() if "GAP" in line]) == (_trace.OK, [])


PLAIN = {"name": "x", "findings": [], "skipped": None, "requirements": ["HS-8"]}


def test_a_requirement_without_a_passing_test_is_a_gap(checkout: Path) -> None:
    skipped = {"passed": [], "failed": [], "skipped": ["tests/x.py::test_x"]}
    changed(
        checkout,
        "requirements-tests.json",
        lambda document: document.update(complete=False, requirements={"HS-5": skipped}),
    )
    code, text = shown(checkout)
    assert code == _trace.FINDINGS
    assert "GAP: HS-5: no tests\n" in text
    assert "GAP: REC-1: no tests\n" in text
    assert "some tests only" in text


@pytest.mark.parametrize("source", _trace_sources.SOURCES, ids=[source.file for source in _trace_sources.SOURCES])
def test_a_missing_or_damaged_record_is_a_finding(source: _trace_sources.Source, checkout: Path) -> None:
    path = checkout / "build" / source.file
    for spoil in (
        path.unlink,
        lambda: path.write_text("{"),
        lambda: path.write_text("[]"),
        lambda: path.write_text("{}"),
    ):
        spoil()
        code, text = shown(checkout)
        assert code == _trace.FINDINGS
        assert re.search(rf"FAILED: .*build/{source.file}.*{source.command}", text)


@pytest.mark.parametrize(
    ("name", "change", "finding"),
    [
        ("requirements-tests.json", lambda it: it.update(exit=1), "the test run ended with exit status 1"),
        (
            "requirements-tests.json",
            lambda it: it["requirements"]["HS-5"]["failed"].append("tests/x.py::test_y"),
            "test tests/x.py::test_y failed",
        ),
        ("requirements-tests.json", lambda it: it["requirements"].update(passed("HS-99")), "HS-99 is no requirement"),
        ("vectors.json", lambda it: it["cases"].pop(), "vector handshaker_start_invalid/no-message did not run"),
        ("vectors.json", lambda it: it["cases"][0].update(passed=False, mismatch="M"), "vector key_schedule/honest: M"),
        ("vectors.json", lambda it: it["cases"][0].update(id="x/y"), "vector x/y is not in the files"),
        ("model-checks.json", lambda it: it["checks"][0].update(findings=["two rows"]), "totality: two rows"),
        ("model-checks.json", lambda it: it["checks"][0].update(skipped="why"), "totality was skipped: why"),
        ("model.json", lambda it: it.update(exit=1), "the model's searches ended with exit status 1"),
        ("prove.json", lambda it: it["files"][0]["queries"].pop(), "did not run"),
        ("prove.json", lambda it: it["files"][0]["queries"][0].update(result="timeout"), ": timeout, not "),
        ("prove.json", lambda it: it["files"][0]["queries"][0].update(result="skipped"), ": skipped, not "),
        (
            "conform/report.json",
            lambda it: it["results"][0].update(verdict="fail"),
            "case hs::x against reference: fail",
        ),
        ("conform/report.json", lambda it: it.update(interrupted=True), "the conformance run was interrupted"),
        ("conform/report.json", lambda it: it["errors"].append("no worker"), "conformance: no worker"),
        ("attacks/report.json", lambda it: it["attacks"][0]["trials"].append({"as_told": False}), "attack kci: not as"),
    ],
)
def test_what_failed_is_a_finding_and_no_evidence(
    name: str, change: Callable[[Any], None], finding: str, checkout: Path
) -> None:
    changed(checkout, name, change)
    code, text = shown(checkout)
    assert code == _trace.FINDINGS
    assert any(finding in line for line in text.splitlines() if line.startswith("FAILED: "))


def test_a_vector_that_fails_is_no_evidence(checkout: Path) -> None:
    def fail(document: Any) -> None:
        for case in document["cases"]:
            case.update(passed=False, mismatch="wrong")

    changed(checkout, "vectors.json", fail)
    table = _trace.collect(checkout)
    assert not any(trace.vectors for trace in table.traces.values())
    assert len([line for line in table.failures if line.startswith("vector ")]) > 1000


def test_proofs_count_for_the_whole_only_if_every_query_came_out(checkout: Path) -> None:
    changed(checkout, "prove.json", lambda it: it["files"][0]["queries"][0].update(result="cannot_be_proved"))
    assert not any(" queries of " in name for name in _trace.collect(checkout).traces["HS-13"].proofs)


def test_only_conformance_cases_that_passed_count(checkout: Path) -> None:
    results = [
        {"case": f"hs::{verdict}", "peers": ["x"], "verdict": verdict, "requirements": ["HS-5"]}
        for verdict in ("pass", "fail", "known", "skipped", "lenient")
    ]
    changed(checkout, "conform/report.json", lambda it: it.update(results=results))
    assert _trace.collect(checkout).traces["HS-5"].conformance == ["hs::pass"]


def test_a_checkout_where_nothing_ran_is_no_finding_but_a_failure_of_the_harness(checkout: Path) -> None:
    shutil.rmtree(checkout / "build")
    code, text = shown(checkout)
    assert code == _trace.HARNESS
    assert "make test" in text


def test_an_old_record_is_told(checkout: Path) -> None:
    (checkout / "model").mkdir()
    (checkout / "model" / "x.py").write_text("")
    os.utime(checkout / "build" / "prove.json", (1, 1))
    text = shown(checkout)[1]
    assert "note: build/prove.json is older than the sources" in text
    assert "evidence: build/prove.json, 1970-01-01 00:00:01 UTC" in text


def test_what_is_met_in_part_is_told(checkout: Path) -> None:
    text = shown(checkout)[1]
    assert "note: REC-6 in part: " in text
    assert set(_trace.IN_PART) | set(_trace.EXEMPT) <= set(NAMES)


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
    rows = {row["id"]: row for row in json.loads(text)["requirements"]}
    assert rows["HS-5"]["gaps"] == []
    assert (code == _trace.OK) is not any(row["gaps"] for row in rows.values())


# The tool that keeps a report.


def kept(tmp_path: Path, program: str) -> tuple[int, str, Path]:
    target = tmp_path / "build" / "report.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text("old")
    command = [sys.executable, "-m", "tools.evidence", str(target), sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, target


def test_the_report_of_a_good_run_is_kept(tmp_path: Path) -> None:
    code, text, target = kept(tmp_path, """print('{"cases": [{"id": "a"}, {"id": "b"}]}')""")
    assert (code, json.loads(target.read_text())["cases"][1]["id"]) == (0, "b")
    assert "2 results" in text


@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        ("""print('{"cases": [{"id": "a", "mismatch": "M differs"}]}'); raise SystemExit(1)""", 1, "a: M differs"),
        ("""print('{"queries": [{"query": "q", "expected": "true", "result": "false"}]}'); exit(1)""", 1, "q: false"),
        ("""print('{"checks": [{"name": "n", "findings": ["f"]}]}'); exit(1)""", 1, "n: f"),
        ("print('no document')", 3, "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", 3, "exit status -9"),
    ],
)
def test_the_report_of_a_bad_run_is_not(program: str, code: int, told: str, tmp_path: Path) -> None:
    found, text, target = kept(tmp_path, program)
    assert (found, target.exists()) == (code, False), "an old one is gone, too"
    assert told in text
    assert (tmp_path / "build" / "report.failed.json").exists()
