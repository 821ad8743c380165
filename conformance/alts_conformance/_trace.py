"""``alts doctor --trace``: what stands behind each requirement.

Evidence is what ran and passed: tests by their markers, vectors by their field `requirements`, model checks, searches
and table rows, proof queries, conformance cases and attacks by what they say of themselves (`_trace_sources`). That a
clause of SPEC.md belongs to a requirement is what the clause itself says. A record of a part of a run is a failure, and
where `CI` is set one that is older than the sources is one too.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ._trace_sources import SOURCES, Unusable

ROOT = Path(__file__).resolve().parents[2]
OK, FINDINGS, HARNESS = 0, 1, 3
KINDS = ("tests", "vectors", "model", "proofs", "conformance", "attacks")
IN_PART: Mapping[str, str] = {
    "REC-6": "of the four modes this version has AES-128-GCM; the others are reserved names (SPEC.md 1.2)",
    "REC-7": "every record protocol of this version encrypts, so that none is integrity-only by default (SPEC.md 6.2)",
}
"""Requirements that are met in part, with what is missing; printed beside their evidence."""
EXEMPT: Mapping[str, str] = {}
"""Requirements of which a kind of evidence cannot exist, with the reason; each is printed. There is none."""
_ID = r"(?:TRUST|CRED|ISSUE|POLICY|REVOKE|HS|REC|RES|TRADE)-[0-9]+"
_CLAUSE = re.compile(r"^\s*- <a id=\"[^\"]+\"></a>\*\*([0-9]+(?:\.[0-9]+)+)\*\*")
_SOURCE_FOLDERS = ("schema", "impl", "model", "proverif", "vectors", "conformance", "tests")


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
    attacks: list[str] = field(default_factory=list)

    @property
    def gaps(self) -> list[str]:
        """What is missing: a clause, a passing test, and a vector, a model check or a proof query are needed."""
        missing = [name for name in ("clauses", "tests") if not getattr(self, name)]
        return missing + ([] if self.vectors or self.model or self.proofs else ["vectors, model or proofs"])


@dataclass(slots=True)
class Table:
    """All requirements, what failed, and what was not looked at."""

    traces: dict[str, Trace]
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, requirements: Sequence[str]) -> None:
        """One piece of evidence."""
        for requirement in requirements:
            trace = self.traces.get(requirement)
            if trace is None:
                self.failures.append(f"{name}: {requirement} is no requirement")
            elif name not in getattr(trace, kind):
                getattr(trace, kind).append(name)

    def gaps(self) -> Iterator[tuple[str, list[str]]]:
        """Requirements with something missing."""
        for trace in self.traces.values():
            if trace.gaps and trace.id not in EXEMPT:
                yield trace.id, trace.gaps


def collect(root: Path = ROOT) -> Table:
    """All evidence of a checkout.

    Raises:
        NothingRan: the table of requirements or SPEC.md cannot be read, or there is no record at all.
    """
    try:
        requirements = json.loads((root / "docs" / "requirements.json").read_text(encoding="utf-8"))
        specification = (root / "SPEC.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise NothingRan(f"{error}: a checkout is needed") from None
    table = Table({row["id"]: Trace(row["id"]) for row in requirements["requirements"]})
    for number, name in clauses(specification):
        table.add("clauses", number, [name])
    if not any((root / "build" / source.file).exists() for source in SOURCES):
        raise NothingRan("no evidence at all: run `.ci/run`, or `make test vectors model prove conform attacks`")
    newest = _newest(root)
    for source in SOURCES:
        try:
            table.failures += source.load(root, table.add)
        except Unusable as reason:
            table.failures.append(str(reason))
        else:
            if (root / "build" / source.file).stat().st_mtime < newest:
                told = table.failures if os.environ.get("CI") else table.notes  # at work a note is enough
                told.append(f"build/{source.file} is older than the sources: `{source.command}` makes it anew")
    table.notes += [f"{name} in part: {reason}" for name, reason in IN_PART.items()]
    table.notes += [f"{name} is exempt: {reason}" for name, reason in EXEMPT.items()]
    return table


def _newest(root: Path) -> float:
    """When a source was last changed, seconds since 1970; 0 where there are none."""
    found = (path for folder in _SOURCE_FOLDERS for path in (root / folder).rglob("*.[jp]*") if path.is_file())
    times = (path.stat().st_mtime for path in found if path.suffix in (".py", ".json", ".pv", ".pvl", ".proto"))
    return max(times, default=0.0)


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


def run(*, as_json: bool, show: Callable[[str], None] = print, root: Path = ROOT) -> int:
    """Print the table; 0 without a gap, 1 with one or with something that failed or is missing, 3 if nothing ran."""
    try:
        table = collect(root)
    except NothingRan as error:
        show(f"trace: {error}")
        return HARNESS
    gaps = dict(table.gaps())
    if as_json:
        rows: list[Mapping[str, Any]] = [{**asdict(trace), "gaps": trace.gaps} for trace in table.traces.values()]
        show(json.dumps({"requirements": rows, "failures": table.failures, "notes": table.notes}))
        return FINDINGS if gaps or table.failures else OK
    for trace in table.traces.values():
        show(f"{trace.id:<9} SPEC.md {', '.join(trace.clauses) or 'NO CLAUSE'}")
        for kind in KINDS:
            names = getattr(trace, kind)
            if names:
                show(f"{'':<9} {kind:<12}{len(names):>4}  {_shortened(names)}")
    for source in SOURCES:
        path = root / "build" / source.file
        if path.exists():
            made = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(path.stat().st_mtime))
            show(f"evidence: build/{source.file}, {made} UTC")
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
