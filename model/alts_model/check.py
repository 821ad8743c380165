"""Consistency of the tables with themselves, with the machine, with the repository's documents; and what z3 proves."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from alts_model import checks
from alts_model.diagram import page, specification_table
from alts_model.errors import ERRORS
from alts_model.recovery import WORLDS, Issuance, rotation_holds
from alts_model.tables import (
    APPLICATION_INPUTS,
    CLIENT,
    FINAL_STATES,
    FRAME_LIMIT,
    INPUTS,
    RECORD,
    RECORD_INPUTS,
    REKEY_INTERVAL,
    SERVER,
    STATES,
    TABLES,
    Role,
    Transition,
    illegal_pairs,
    reaction,
    record_guard,
)
from alts_model.weakening import CHECKS, WeakMachine

ROLES: Final[tuple[Role, Role]] = ("client", "server")
_ID: Final = re.compile(r"(TRUST|CRED|ISSUE|POLICY|REVOKE|HS|REC|RES|TRADE)-[1-9][0-9]*")
_CLAIMS: Final = ("ClientStarts", "ServerAccepts", "ClientCompletes", "ServerCompletes")


NAMES: Final = (
    "totality",
    "determinism",
    "reachability",
    "walkable",
    "claims",
    "record counters",
    "payload is protected",
    "issuance survives crashes",
    "rotation leaves no gap",
    "requirement IDs",
    "specification table",
    "error codes",
    "state machine page",
    *(one.name for one in checks.ALL),
)
"""The names of what `run_checks` gives, in its order: a record without one of them is not of a whole run."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: `findings` empty means that it holds; `skipped` is why it could not run.

    `requirements` are those for which a check that holds is evidence; `seconds` is what it took, if it was timed.
    `notes` say of a check by z3 up to where it holds, and by which example it found each planted fault.
    """

    name: str
    detail: str
    findings: tuple[str, ...] = ()
    skipped: str | None = None
    requirements: tuple[str, ...] = ()
    seconds: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`ok`, `failed` or `skipped`."""
        if self.skipped is not None:
            return "skipped"
        return "failed" if self.findings else "ok"


def repository() -> Path | None:
    """The checkout that this package lies in, or None if it is installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "SPEC.md").is_file() and (root / "model").is_dir() else None


def run_checks(root: Path | None) -> tuple[CheckResult, ...]:
    """All checks; those about documents are skipped where there is no repository."""
    results = [
        totality(),
        determinism(),
        reachability(),
        walkable(),
        claims(),
        record_counters(),
        payload_is_protected(),
        issuance_survives_crashes(),
        rotation_leaves_no_gap(),
        requirement_ids(root),
    ]
    documents: tuple[tuple[str, str, Callable[[Path], Iterator[str]]], ...] = (
        ("specification table", "SPEC.md 2.1 is the table that the model generates", specification_differs),
        ("error codes", "SPEC.md 10.1 has the model's codes, names and requirements", error_codes_differ),
        ("state machine page", "docs/state-machines.md is current", page_differs),
    )
    for name, detail, find in documents:
        if root is None:
            results.append(CheckResult(name, detail, skipped="not run inside the repository"))
        else:
            results.append(CheckResult(name, detail, tuple(find(root))))
    return (*results, *proved())


@cache
def proved() -> tuple[CheckResult, ...]:
    """What z3 says of `alts_model.checks`. It depends on nothing but the code, so it is asked once in a process."""
    return tuple(proof(checks.prove(check)) for check in checks.ALL)


def proof(outcome: checks.Outcome) -> CheckResult:
    """A check by z3 as one of these. That z3 has no answer is a finding; so is a planted fault that is not found."""
    counts = f"{outcome.statements} statements, {len(outcome.refuted)} of {outcome.faults} planted faults found"
    notes = [f"bound: {outcome.bound}"]
    notes += [f"fault {one.fault!r} ({one.text}): {one.example}: {one.violation}" for one in outcome.refuted]
    return CheckResult(
        outcome.name,
        f"{outcome.text} ({counts})",
        outcome.findings,
        requirements=outcome.requirements,
        seconds=round(outcome.seconds, 3),
        notes=tuple(notes),
    )


def totality() -> CheckResult:
    """Every pair has a reaction; rows use known names only; final states have no rows."""
    findings = []
    for role, rows in (("client", CLIENT), ("server", SERVER), ("record", RECORD)):
        inputs = RECORD_INPUTS if role == "record" else INPUTS
        for row in rows:
            if row.role != role or {row.state, row.next_state} - set(STATES[role]) or row.input not in inputs:
                findings.append(f"{role}: a row with an unknown name: {row.state}, {row.input}")
            if row.state in FINAL_STATES:
                findings.append(f"{role}: a row out of {row.state}")
    kinds: dict[str, int] = {}
    for one in ROLES:
        for state in STATES[one]:
            for name in INPUTS:
                kind = reaction(one, state, name)
                kinds[kind] = kinds.get(kind, 0) + 1
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    illegal = sum(len(illegal_pairs(role)) for role in ROLES)
    return CheckResult(
        "totality",
        f"{sum(kinds.values())} pairs: {counts}; {illegal} without a row",
        tuple(findings),
        requirements=("HS-2",),
    )


def determinism() -> CheckResult:
    """At most one row a pair; in the record table the guards of a pair exclude each other."""
    findings = []
    for rows in (CLIENT, SERVER):
        pairs = [(row.state, row.input) for row in rows]
        findings += [f"{rows[0].role}: two rows for {pair}" for pair in sorted(set(pairs)) if pairs.count(pair) > 1]
    return CheckResult("determinism", f"{len(CLIENT) + len(SERVER)} rows", tuple(findings), requirements=("HS-2",))


def record_counters() -> CheckResult:
    """For counters around every kind of boundary exactly one guard of `frame` in COUNTING holds."""
    edges = [0, REKEY_INTERVAL, 2 * REKEY_INTERVAL, 1 << 32, 1 << 40, 1 << 63, FRAME_LIMIT]
    counters = [edge + step for edge in edges for step in (-2, -1, 0, 1) if 0 <= edge + step < FRAME_LIMIT]
    rows = [row for row in RECORD if (row.state, row.input) == ("COUNTING", "frame")]
    findings = [
        f"counter {counter}: {held} guards hold"
        for counter in counters
        if (held := sum(record_guard(row.guard, counter) for row in rows)) != 1
    ]
    findings += [
        f"record: no row for {state}, {name}"
        for state in STATES["record"]
        for name in RECORD_INPUTS
        if state not in FINAL_STATES and not any((row.state, row.input) == (state, name) for row in RECORD)
    ]
    return CheckResult(
        "record counters",
        f"{len(counters)} counters around the boundaries",
        tuple(findings),
        requirements=("REC-4", "REC-8"),
    )


def reachability() -> CheckResult:
    """Every state can be reached from the first, and a final state from every state."""
    findings = []
    for table, rows in TABLES.items():
        forward = _closure({STATES[table][0]}, rows, backward=False)
        findings += [f"{table}: {state} cannot be reached" for state in STATES[table] if state not in forward]
        back = _closure(set(FINAL_STATES), rows, backward=True)
        findings += [f"{table}: no way from {state} to an end" for state in STATES[table] if state not in back]
    return CheckResult(
        "reachability", f"{sum(map(len, STATES.values()))} states", tuple(findings), requirements=("HS-2",)
    )


def _closure(states: set[str], rows: tuple[Transition, ...], *, backward: bool) -> set[str]:
    while True:
        if backward:
            more = {row.state for row in rows if row.next_state in states}
        else:
            more = {row.next_state for row in rows if row.state in states}
        if more <= states:
            return states
        states = states | more


def walkable() -> CheckResult:
    """The machine knows every guard and every output of the tables."""
    guards, outputs = WeakMachine().vocabulary()
    rows = CLIENT + SERVER
    findings = [f"no guard {row.guard!r}" for row in rows if row.guard not in guards]
    findings += [f"no output {name!r}" for row in rows for name in row.output if name not in outputs]
    return CheckResult("walkable", f"{len(guards)} guards, {len(outputs)} outputs", tuple(findings))


def claims() -> CheckResult:
    """Each claim of SPEC.md 2.6 is made by exactly one row."""
    made = [row.claim for row in CLIENT + SERVER if row.claim is not None]
    findings = tuple(f"{name} is made by {made.count(name)} rows" for name in _CLAIMS if made.count(name) != 1)
    unknown = tuple(f"an unknown claim {name}" for name in made if name not in _CLAIMS)
    return CheckResult("claims", ", ".join(_CLAIMS), findings + unknown, requirements=("HS-8", "HS-9"))


def payload_is_protected() -> CheckResult:
    """No row carries payload before the peer is authenticated, and no application input carries a key.

    So a service is protected by default, nothing is sent in a zeroth round trip, and the server's payload follows
    ClientFinished.
    """
    findings = []
    for row in CLIENT + SERVER:
        if row.state != "OPEN" and (row.input in ("send", "data") or {"payload", "data"} & set(row.output)):
            findings.append(f"{row.role}: payload in {row.state}")
        if row.next_state == "OPEN" != row.state and row.guard != "both authenticators are right":
            findings.append(f"{row.role}: {row.input} leads to OPEN unauthenticated")
    findings += [
        f"an application input {name}" for name in APPLICATION_INPUTS if name not in ("start", "send", "close")
    ]
    findings += [
        f"{role}: {name} in {state} is {reaction(role, state, name)}"
        for role in ROLES
        for state in STATES[role]
        for name in ("send", "data")
        if state not in ("OPEN", *FINAL_STATES) and reaction(role, state, name) not in ("misuse", "violation")
    ]
    detail = "payload in OPEN alone, OPEN after both authenticators alone"
    ids = ("TRUST-6", "HS-8", "HS-9", "HS-12", "TRADE-5")
    return CheckResult("payload is protected", detail, tuple(findings), requirements=ids)


def issuance_survives_crashes() -> CheckResult:
    """Every order of requests, answers, losses and a stop of everybody, in each world of `recovery`."""
    states, findings = 0, list[str]()
    began = time.perf_counter()
    for world in WORLDS:
        seen, path = Issuance(world).search()
        states += seen
        findings += ["; ".join(path)] if path else []
    detail = f"{states} states: one ID, one certificate, known to the CRL service, for each key that asks"
    ids = ("ISSUE-1", "ISSUE-3", "REVOKE-3", "REVOKE-4")
    seconds = time.perf_counter() - began
    return CheckResult("issuance survives crashes", detail, tuple(findings), requirements=ids, seconds=seconds)


def rotation_leaves_no_gap() -> CheckResult:
    """Every pattern of outages and forced rotations in `recovery.rotation_holds`."""
    looked, findings = rotation_holds()
    detail = f"{looked} moments: certificates in force, tickets of a day open"
    ids = ("ISSUE-8", "ISSUE-9", "CRED-5", "CRED-6")
    return CheckResult("rotation leaves no gap", detail, tuple(findings), requirements=ids)


def requirement_ids(root: Path | None) -> CheckResult:
    """Requirement IDs are well-formed and known to docs/requirements.json, if it is there; no row is without."""
    named = [(f"{row.role} {row.state} {row.input}", row.requirements) for rows in TABLES.values() for row in rows]
    named += [(error.name, error.requirements) for error in ERRORS.values()]
    named += [(check.name, check.requirements) for check in CHECKS.values()]
    named += [(check.name, check.requirements) for check in checks.ALL]
    known = None if root is None else _known_ids(root / "docs" / "requirements.json")
    findings = [f"{where}: no requirement" for where, ids in named if not ids]
    for where, ids in named:
        findings += [f"{where}: {one!r} is no requirement ID" for one in ids if not _ID.fullmatch(one)]
        findings += [f"{where}: {one} is unknown" for one in ids if known is not None and one not in known]
    used = {one for _, ids in named for one in ids}
    return CheckResult("requirement IDs", f"{len(used)} IDs in {len(named)} places", tuple(findings))


def _known_ids(path: Path) -> frozenset[str] | None:
    if not path.is_file():
        return None
    return frozenset(_ID_ANYWHERE.findall(json.dumps(json.loads(path.read_text(encoding="utf-8")))))


_ID_ANYWHERE: Final = re.compile(r'"((?:TRUST|CRED|ISSUE|POLICY|REVOKE|HS|REC|RES|TRADE)-[1-9][0-9]*)"')


def _table_after(text: str, anchor: str) -> list[str]:
    """The lines of the first Markdown table after an anchor."""
    lines = iter(text[text.index(f'<a id="{anchor}"></a>') :].splitlines())
    table: list[str] = []
    for line in lines:
        if line.startswith("|"):
            table.append(line.strip())
        elif table:
            break
    return table


def specification_differs(root: Path) -> Iterator[str]:
    """Lines in which SPEC.md 2.1 and the generated table differ."""
    written = _table_after((root / "SPEC.md").read_text(encoding="utf-8"), "states-table")
    generated = specification_table().splitlines()
    yield from (f"only in SPEC.md: {line}" for line in written if line not in generated)
    yield from (f"only in the model: {line}" for line in generated if line not in written)
    if sorted(written) == sorted(generated) and written != generated:
        yield "the order of the rows differs"


def error_codes_differ(root: Path) -> Iterator[str]:
    """Rows of SPEC.md 10.1 that the model has otherwise, or not at all."""
    written = {}
    for line in _table_after((root / "SPEC.md").read_text(encoding="utf-8"), "errors-codes")[2:]:
        code, error_name, sent, _, requirements = (cell.strip() for cell in line.strip("|").split("|"))
        written[error_name.strip("`")] = (int(code), sent == "yes", tuple(requirements.split(", ")))
    own = {error.name: (error.code, error.sent, error.requirements) for error in ERRORS.values()}
    yield from (f"{name} differs" for name in written.keys() | own.keys() if written.get(name) != own.get(name))


def page_differs(root: Path) -> Iterator[str]:
    """Whether docs/state-machines.md is what the generator gives."""
    path = root / "docs" / "state-machines.md"
    if not path.is_file() or path.read_text(encoding="utf-8") != page():
        yield "out of date: write it with `alts model diagram --format markdown --output docs/state-machines.md`"
