"""``alts doctor --trace``: what stands behind each requirement.

Evidence is what ran and passed: tests by their markers (the record of the last test run), vectors by their field
`requirements` (verified here and now), model checks by the requirements of the tables and of the checks (run here and
now), proof queries and conformance cases by the last reports. Nothing is looked for in source text. That a clause of
SPEC.md belongs to a requirement is what the clause itself says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import alts_vectors
from alts_model.check import run_checks
from alts_model.tables import TABLES
from alts_model.weakening import CHECKS
from alts_proofs import load_manifest

from ._verdict import Verdict
from .vector_target import TARGET

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("TRUST", "CRED", "ISSUE", "POLICY", "REVOKE", "HS", "RES", "TRADE")
"""Those in which a gap is a finding."""
OK, FINDINGS, HARNESS = 0, 1, 3
_ID = r"(?:TRUST|CRED|ISSUE|POLICY|REVOKE|HS|REC|RES|TRADE)-[0-9]+"
_CLAUSE = re.compile(r"^\s*- <a id=\"[^\"]+\"></a>\*\*([0-9]+(?:\.[0-9]+)+)\*\*")


class NothingRan(Exception):
    """There is no evidence at all; the argument says what to run."""


@dataclass(slots=True)
class Trace:
    """What stands behind one requirement: names, in the order in which they were found."""

    id: str
    clauses: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    vectors: list[str] = field(default_factory=list)
    model: list[str] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    conformance: list[str] = field(default_factory=list)

    @property
    def gaps(self) -> list[str]:
        """What is missing: a clause, a passing test, and a vector or a model check are needed."""
        missing = [name for name in ("clauses", "tests") if not getattr(self, name)]
        return missing + ([] if self.vectors or self.model else ["vectors or model"])


@dataclass(slots=True)
class Table:
    """All requirements, what failed, and what was not looked at."""

    traces: dict[str, Trace]
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, requirements: list[str] | tuple[str, ...]) -> None:
        """One piece of evidence."""
        for requirement in requirements:
            trace = self.traces.get(requirement)
            if trace is None:
                self.failures.append(f"{name}: {requirement} is no requirement")
            elif name not in getattr(trace, kind):
                getattr(trace, kind).append(name)

    def gaps(self) -> Iterator[tuple[str, list[str]]]:
        """Requirements of the groups with something missing."""
        for trace in self.traces.values():
            if trace.id.partition("-")[0] in GROUPS and trace.gaps:
                yield trace.id, trace.gaps


def collect(root: Path = ROOT) -> Table:
    """All evidence of a checkout.

    Raises:
        NothingRan: the table of requirements, SPEC.md, or the record of the tests is missing.
    """
    requirements = _json(root / "docs" / "requirements.json", "a checkout is needed")
    table = Table({row["id"]: Trace(row["id"]) for row in requirements["requirements"]})
    for number, name in clauses((root / "SPEC.md").read_text(encoding="utf-8")):
        table.add("clauses", number, [name])
    _tests(table, root)
    _vectors(table)
    _model(table, root)
    for source in (_proofs, _conformance):
        source(table, root)
    return table


def _json(path: Path, remedy: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NothingRan(f"{path}: {error}: {remedy}") from None


def clauses(text: str) -> Iterator[tuple[str, str]]:
    """(clause, requirement) of SPEC.md; a table belongs to the clause before it, `A-1 to A-3` means all three."""
    current = ""
    for line in text.splitlines():
        found = _CLAUSE.match(line)
        if line.startswith("#"):
            current = ""
        current = found[1] if found else current
        if not current:
            continue
        for first, last in re.findall(rf"({_ID})(?: to ({_ID}))?", line):
            group, _, begin = first.partition("-")
            end = last.partition("-")[2] or begin
            yield from ((current, f"{group}-{number}") for number in range(int(begin), int(end) + 1))


def _tests(table: Table, root: Path) -> None:
    record = _json(root / "build" / "requirements-tests.json", "run `make test` first")
    if not record["complete"]:
        table.notes.append("the last test run was of some tests only")
    for requirement, outcome in record["requirements"].items():
        for name in outcome["passed"]:
            table.add("tests", name, [requirement])
        table.failures += [f"test {name} failed" for name in outcome["failed"]]


def _vectors(table: Table) -> None:
    documents = alts_vectors.load_all()
    cases = {
        case["id"]: case["requirements"]
        for document in documents.values()
        for group in document["testGroups"]
        for case in group["tests"]
    }
    for report in alts_vectors.verify(documents, TARGET):
        if report.passed:
            table.add("vectors", report.id, cases[report.id])
        else:
            table.failures.append(f"vector {report.id}: {report.mismatch}")


def _model(table: Table, root: Path) -> None:
    results = run_checks(root)
    failed = [f"model check {result.name}: {finding}" for result in results for finding in result.findings]
    table.failures += failed
    table.notes += [f"model check {result.name} was skipped: {result.skipped}" for result in results if result.skipped]
    if not failed:  # the tables are total, the machine walks them, and the documents say the same
        for rows in TABLES.values():
            for row in rows:
                table.add("model", f"{row.role} {row.state} {row.input}", row.requirements)
    path = root / "build" / "model.json"
    if not path.is_file():
        table.notes.append("no explorer run: `alts model explore --all-twins --json > build/model.json`")
        return
    for run in _json(path, "write it again")["runs"]:
        without = run.get("without", [])
        # A search without a check is evidence for the check if it finds an attack.
        if len(without) == 1 and run.get("violation") is not None:
            table.add("model", f"twin without {without[0]}", CHECKS[without[0]].requirements)


def _proofs(table: Table, root: Path) -> None:
    path = root / "build" / "prove.json"
    if not path.is_file():
        table.notes.append("no proof run: `alts prove --json > build/prove.json`")
        return
    known = load_manifest().queries
    for file in _json(path, "write it again")["files"]:
        for query in file["queries"]:
            if query["result"] == query["expected"]:
                table.add(
                    "proofs", query["query"], known[query["query"]].requirements if query["query"] in known else ()
                )
            elif query["result"] != "skipped":
                table.failures.append(f"proof query {query['query']}: {query['result']}")


def _conformance(table: Table, root: Path) -> None:
    path = root / "build" / "conform" / "report.json"
    if not path.is_file():
        table.notes.append("no conformance run: `make conform`")
        return
    for result in _json(path, "run `make conform` again")["results"]:
        if result["verdict"] == Verdict.PASS:
            table.add("conformance", result["case"], result["requirements"])


def run(*, as_json: bool, show: Callable[[str], None] = print, root: Path = ROOT) -> int:
    """Print the table; 0 without a gap, 1 with one or with something that failed, 3 if nothing ran."""
    try:
        table = collect(root)
    except NothingRan as error:
        show(f"trace: {error}")
        return HARNESS
    gaps = dict(table.gaps())
    if as_json:
        rows: list[Mapping[str, Any]] = [{**asdict(trace), "gaps": trace.gaps} for trace in table.traces.values()]
        show(json.dumps({"requirements": rows, "failures": table.failures, "notes": table.notes}))
    else:
        for trace in table.traces.values():
            show(f"{trace.id:<9} SPEC.md {', '.join(trace.clauses) or 'NO CLAUSE'}")
            for kind in ("tests", "vectors", "model", "proofs", "conformance"):
                names = getattr(trace, kind)
                show(f"{'':<9} {kind:<12}{len(names):>4}  {_shortened(names)}")
        for note in table.notes:
            show(f"note: {note}")
        for failure in table.failures:
            show(f"FAILED: {failure}")
        for name, missing in gaps.items():
            show(f"GAP: {name}: no {', no '.join(missing)}")
        show(f"{len(table.traces)} requirements, {len(gaps)} with a gap, {len(table.failures)} failures")
    return FINDINGS if gaps or table.failures else OK


def _shortened(names: list[str], most: int = 3) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
