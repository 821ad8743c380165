"""Known findings: declared deviations of a peer. They are run like everything else; one that does not show is an error.

The file is TOML (or JSON with the same shape), checked against ``schemas/known.schema.json``. An entry names peer,
version range, case glob, the expected verdict and reaction, the reason, and where to read more or when it expires.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from ._case import Instance, matches
from ._verdict import FINDINGS, Attempt, HarnessError, UsageError, Verdict


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """One declared deviation."""

    peer: str
    versions: str
    case: str
    expected: Verdict
    reaction: str | None
    reason: str
    link: str | None
    expires: datetime.date | None

    def covers(self, instance: Instance, version: str) -> bool:
        """Whether this entry speaks about an instance run with this version of its peer."""
        return (
            self.peer in instance.subjects and matches(instance.id, [self.case]) and version_in(version, self.versions)
        )

    def agrees(self, attempt: Attempt) -> bool:
        """Whether what happened is what was declared."""
        return attempt.verdict is self.expected and self.reaction in (None, attempt.reaction)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", text.partition("+")[0])][:4]
    return tuple(numbers + [0] * (4 - len(numbers)))


def version_in(version: str, versions: str) -> bool:
    """Whether a version lies in a range such as ``>=1.60,<1.90``, ``==1.85.1`` or ``*``.

    Raises:
        UsageError: the range cannot be read.
    """
    for clause in versions.split(","):
        clause = clause.strip()
        if clause == "*":
            continue
        match = re.fullmatch(r"(<=|>=|==|!=|<|>)\s*(\d[\w.]*)", clause)
        if match is None:
            raise UsageError(f"version range {versions!r}: cannot read {clause!r}")
        have, want = _numbers(version), _numbers(match[2])
        operator = match[1]
        holds = {"<": have < want, "<=": have <= want, "==": have == want, "!=": have != want}
        if not {**holds, ">": have > want, ">=": have >= want}[operator]:
            return False
    return True


def default_path() -> Path:
    """The packaged file with what this project knows of the peers it drives."""
    return Path(str(resources.files("alts_conformance") / "known.toml"))


def load(path: Path) -> list[KnownFinding]:
    """Read a file of known findings.

    Raises:
        UsageError: it cannot be read or breaks the schema.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"known findings {path}: is not a regular file")
        data = path.read_bytes()
        document: Any = json.loads(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except OSError as error:
        raise UsageError(f"known findings {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"known findings {path}: {error}") from None
    document = json.loads(json.dumps(document, default=str))
    schema = json.loads((resources.files("alts_conformance") / "schemas/known.schema.json").read_text())
    try:
        jsonschema.validate(document, schema)
    except jsonschema.ValidationError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise UsageError(f"known findings {path}: {where}: {error.message}") from None
    findings = []
    for entry in document.get("finding", []):
        version_in("0", entry["versions"])
        try:
            expires = datetime.date.fromisoformat(entry["expires"]) if "expires" in entry else None
        except ValueError as error:
            raise UsageError(f"known findings {path}: expires: {error}") from None
        findings.append(
            KnownFinding(
                entry["peer"],
                entry["versions"],
                entry["case"],
                Verdict(entry["expected"]),
                entry.get("reaction"),
                entry["reason"],
                entry.get("link"),
                expires,
            )
        )
    return findings


def complaints(findings: Iterable[KnownFinding], catalogue: Sequence[Instance], today: datetime.date) -> list[str]:
    """What is wrong with the entries themselves: stale ones (they match no case at all) and expired ones."""
    problems = []
    for finding in findings:
        if not any(finding.peer in i.subjects and matches(i.id, [finding.case]) for i in catalogue):
            problems.append(f"stale known finding: {finding.case!r} for {finding.peer} matches no case")
        if finding.expires is not None and finding.expires < today:
            problems.append(f"expired known finding: {finding.case!r} for {finding.peer} ended on {finding.expires}")
    return problems


def apply(attempt: Attempt, instance: Instance, findings: Sequence[KnownFinding], versions: dict[str, str]) -> Attempt:
    """The verdict in the light of what is known: ``known`` if it is as declared, ``fail`` for an unexpected pass.

    Raises:
        HarnessError: never for a verdict; only if a finding covers a harness fault (that is a fault all the same).
    """
    if attempt.verdict is Verdict.HARNESS:
        return attempt
    covering = [f for f in findings if f.covers(instance, versions.get(f.peer, "0"))]
    if not covering or attempt.verdict is Verdict.SKIPPED:
        return attempt
    for finding in covering:
        if finding.agrees(attempt):
            note = f"{attempt.verdict}: {attempt.message} (known: {finding.reason})"
            return _with(attempt, Verdict.KNOWN, note)
    if attempt.verdict is Verdict.PASS:
        declared = covering[0]
        return _with(
            attempt,
            Verdict.FAIL,
            f"unexpected pass: {declared.peer} was declared to {declared.expected} here; update the known findings",
        )
    if attempt.verdict in FINDINGS or attempt.verdict is Verdict.LENIENT:
        return _with(attempt, Verdict.FAIL, f"{attempt.verdict}, but not as declared: {attempt.message}")
    raise HarnessError(f"verdict {attempt.verdict} cannot be weighed against known findings")


def _with(attempt: Attempt, verdict: Verdict, message: str) -> Attempt:
    return Attempt(verdict, message, attempt.reaction, attempt.seconds, attempt.transcript, attempt.notes)
