"""`alts doctor --trace`: only what ran and passed counts, and a gap, a failed run or a missing record is a finding."""

from __future__ import annotations

import dataclasses
import functools
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
from alts_conformance.attacks._gallery import ATTACKS
from alts_model.check import NAMES as CHECKS
from alts_model.exploration import planned
from alts_proofs import load_manifest

ROOT = Path(__file__).resolve().parents[2]
NAMES = [row["id"] for row in json.loads((ROOT / "docs" / "requirements.json").read_text())["requirements"]]


manifest = functools.cache(load_manifest)
LAST = next((name, sorted(without)) for name, without in reversed(list(planned())))


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
        for name, query in manifest().queries.items()
    ]
    checks = [{"name": name, "findings": [], "skipped": None, "requirements": ["HS-2"]} for name in CHECKS]
    runs = [{"scenario": name, "without": sorted(without), "evidence": ["TRADE-1"]} for name, without in planned()]
    results = [
        {"id": instance.id, "case": instance.case.id, "peers": list(instance.subjects), "verdict": "pass"}
        for instance in _trace_sources.instances()
    ]
    attacks = [
        {"name": attack.name, "trials": [{"name": one.name, "outcome": one.expected.value} for one in attack.trials]}
        for attack in ATTACKS
    ]
    return {
        "requirements-tests.json": {"complete": True, "exit": 0, "requirements": passed(*NAMES)},
        "vectors.json": {"cases": cases},
        "model-checks.json": {"checks": checks},
        "model.json": {"exit": 0, "runs": runs},
        "prove.json": {"engine": "builtin", "version": "1", "files": [{"file": "x.pv", "queries": queries}]},
        "conform/report.json": {"interrupted": False, "errors": [], "results": results},
        "attacks/report.json": {"attacks": attacks},
    }


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the documents of this one, and a record of every kind; not in continuous integration."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(_trace_sources, "load_manifest", manifest)  # reading it takes most of a second
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
    assert "opponent::server_refuses_a_genuine_record_beyond_the_negotiated_size" in (
        name for other in table.traces.values() for name in other.conformance
    )
    assert any("client" in name for name in table.traces["HS-6"].model)
    assert table.traces["HS-2"].model[0] == "check totality"
    assert table.traces["TRADE-1"].model[0] == "search replicas"
    assert "kci-dh-key" in table.traces["TRADE-1"].attacks
    assert f"{len(manifest().queries)} queries of 1 scripts, engine builtin" in table.traces["HS-13"].proofs


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
    assert "FAILED: the last test run was of some tests only" in text


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
            " against reference: fail",
        ),
        ("conform/report.json", lambda it: it.update(interrupted=True), "the conformance run was interrupted"),
        ("conform/report.json", lambda it: it["errors"].append("no worker"), "conformance: no worker"),
        (
            "attacks/report.json",
            lambda it: it["attacks"][0]["trials"][0].update(outcome="blocked"),
            "attack kci-dh-key/static: blocked, not works as the gallery says",
        ),
        ("attacks/report.json", lambda it: it["attacks"][0]["trials"][0].update(outcome="skipped"), "static: skipped"),
        # Records of a part of a run, and of a run of something else.
        ("requirements-tests.json", lambda it: it.update(complete=False), "the last test run was of some tests only"),
        ("model-checks.json", lambda it: it.update(checks=it["checks"][:1]), "model check determinism did not run"),
        ("model.json", lambda it: it.update(runs=[]), "search replicas did not run"),
        ("model.json", lambda it: it["runs"].pop(), f" without {', '.join(LAST[1])} did not run"),
        ("conform/report.json", lambda it: it.update(results=it["results"][:1]), "did not run"),
        ("conform/report.json", lambda it: it["results"].pop(), "did not run"),
        ("conform/report.json", lambda it: it["results"][0].update(verdict="PASS"), "'PASS' is not a valid Verdict"),
        ("attacks/report.json", lambda it: it.update(attacks=it["attacks"][1:]), "kci-dh-key/static did not run"),
        ("attacks/report.json", lambda it: it["attacks"][0]["trials"].pop(), "did not run"),
        ("attacks/report.json", lambda it: it["attacks"][0].update(name="x"), "attack x/static is not in the gallery"),
        (
            "prove.json",
            lambda it: it["files"][0]["queries"][0].update(query="x/y"),
            "proof query x/y is not among the expected results",
        ),
        ("prove.json", lambda it: it.update(files=[]), "did not run"),
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
    verdicts = ("pass", "fail", "known", "skipped", "lenient")
    cases: dict[str, str] = {}

    def mix(document: Any) -> None:
        for result in document["results"]:
            number = len(cases) % len(verdicts)
            result["verdict"] = cases.setdefault(result["case"], verdicts[number])

    changed(checkout, "conform/report.json", mix)
    found = {name for trace in _trace.collect(checkout).traces.values() for name in trace.conformance}
    assert found == {case for case, verdict in cases.items() if verdict == "pass"}


def test_cases_and_peers_of_others_are_no_evidence(checkout: Path) -> None:
    stranger = {"id": "mine::x/server=x", "case": "mine::x", "peers": ["x"], "verdict": "pass"}
    changed(checkout, "conform/report.json", lambda it: it["results"].append(stranger))
    table = _trace.collect(checkout)
    assert table.failures == []
    assert not any("mine::x" in trace.conformance for trace in table.traces.values())


def test_a_peer_that_cannot_run_here_is_no_finding(checkout: Path) -> None:
    """`make conform` says so, and fails if it is told that all peers are required; its instances are not evidence."""

    def skip(document: Any) -> None:
        for result in document["results"]:
            result.update(verdict="skipped" if "grpc-core" in result["id"] else "pass")

    changed(checkout, "conform/report.json", skip)
    changed(checkout, "conform/report.json", lambda it: it["results"][0].update(verdict="known"))
    assert _trace.collect(checkout).failures == []


def test_results_are_compared_with_what_is_expected_and_not_with_the_record(checkout: Path) -> None:
    def agree(document: Any) -> None:
        query = document["files"][0]["queries"][0]
        wrong = {"true": "false", "false": "true"}[query["expected"]]
        query.update(expected=wrong, result=wrong)

    changed(checkout, "prove.json", agree)
    name, query = next(iter(manifest().queries.items()))
    table = _trace.collect(checkout)
    assert len(table.failures) == 1
    assert table.failures[0].startswith(f"proof query {name}: ")
    assert table.failures[0].endswith(f", not {query.expected}")
    assert not any(name in trace.proofs for trace in table.traces.values())


@pytest.mark.parametrize(
    ("engine", "result", "fails"),
    [
        ("builtin", "cannot_be_proved", False),
        ("builtin", "timeout", False),
        ("builtin", "wrong", True),
        ("builtin", "skipped", True),
        ("proverif", "cannot_be_proved", True),
    ],
)
def test_only_what_is_declared_open_may_be_open(
    engine: str, result: str, fails: bool, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = manifest()
    script = next(script for script in expected.scripts if script.builtin_open is None)
    declared = dataclasses.replace(script, builtin_open="needs a lemma")
    scripts = tuple(declared if one is script else one for one in expected.scripts)
    query = script.queries[0]

    def leave(document: Any) -> None:
        document["engine"] = engine
        for entry in document["files"][0]["queries"]:
            if entry["query"] == query.id:
                entry["result"] = result

    changed(checkout, "prove.json", leave)
    changed(checkout, "prove.json", lambda it: it["files"][0].update(open="as if it were"))
    assert any(query.id in line for line in _trace.collect(checkout).failures), "open for nobody so far"
    monkeypatch.setattr(_trace_sources, "load_manifest", lambda: dataclasses.replace(expected, scripts=scripts))
    table = _trace.collect(checkout)
    assert any(query.id in line for line in table.failures) is fails
    assert not any(query.id in trace.proofs for trace in table.traces.values())
    whole = [name for name in table.traces["HS-13"].proofs if " queries of " in name]
    assert ["1 of them open as declared" in name for name in whole] == ([] if fails else [True])


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
    assert "FAILED" not in text


def test_in_continuous_integration_an_old_record_is_a_finding(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "model").mkdir()
    (checkout / "model" / "x.py").write_text("")
    os.utime(checkout / "model" / "x.py", (2, 2))
    monkeypatch.setenv("CI", "true")
    assert _trace.collect(checkout).failures == []
    os.utime(checkout / "build" / "prove.json", (1, 1))
    code, text = shown(checkout)
    assert code == _trace.FINDINGS
    assert "FAILED: build/prove.json is older than the sources" in text


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
    assert "2 results, all as they should be" in text


def test_what_was_skipped_or_is_open_is_counted(tmp_path: Path) -> None:
    checks = [{"name": "a", "findings": [], "skipped": "why"}, {"name": "b", "findings": [], "skipped": None}]
    queries = [{"query": "q", "expected": "true", "result": "timeout", "open": "why"}]
    code, text, _ = kept(tmp_path, f"import json; print(json.dumps({{'checks': {checks}, 'queries': {queries}}}))")
    assert code == 0
    assert "3 results, 1 SKIPPED, 1 OPEN, all else as they should be" in text


def test_what_is_open_is_no_finding(tmp_path: Path) -> None:
    queries = [{"query": name, "expected": "true", "result": "timeout"} for name in "qr"]
    queries[0]["open"] = "why"
    code, text, _ = kept(tmp_path, f"print({json.dumps(json.dumps({'queries': queries}))}); exit(1)")
    assert code == 1
    assert "r: timeout, not true" in text
    assert "q: timeout" not in text


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
