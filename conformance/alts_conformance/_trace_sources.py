"""What `alts doctor --trace` reads: the records that each kind of run leaves below `build/`.

Each reader gives what ran and passed, and names what failed. A record that is missing, damaged, or of a run that ended
badly is no evidence: it is a failure. So is what a record leaves out: what a whole run has is asked of the vectors, the
model, the expected results of the proofs, the cases and the gallery, and never of the record. Nothing is looked for in
source text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alts_vectors
from alts_model.check import NAMES
from alts_model.exploration import planned
from alts_model.tables import TABLES
from alts_proofs import BuiltIn, ProofsError, load_manifest

from . import _case, _peers
from ._verdict import FINDINGS, ConformanceError, Verdict
from .attacks._gallery import ATTACKS

Add = Callable[[str, str, Sequence[str]], None]
"""Kind of evidence, name, requirement IDs."""
UNSETTLED = frozenset({"cannot_be_proved", "unsupported", "timeout"})
"""Answers of the built-in engine that are no finding where the expected results declare a script open for it."""


class Unusable(Exception):
    """A record that is no evidence; the argument says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A record: where it is, what makes it, and how it is read (`read` gives what failed in it, one line each)."""

    file: str
    command: str
    read: Callable[[Any, Add], Iterator[str]]

    def load(self, root: Path, add: Add) -> list[str]:
        """Read it; what failed.

        Raises:
            Unusable: it is missing, or not what `command` writes.
        """
        path = root / "build" / self.file
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Unusable(f"no evidence in build/{self.file}: run `{self.command}`") from None
        except (OSError, ValueError) as error:
            raise Unusable(f"build/{self.file}: {error}: run `{self.command}` again") from None
        try:
            return list(self.read(document, add))
        except (ProofsError, alts_vectors.VectorsError, ConformanceError) as error:  # the files that a record is about
            raise Unusable(f"build/{self.file}: {error}") from None
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Unusable(f"build/{self.file}: {error!r}: run `{self.command}` again") from None


def _tests(document: Any, add: Add) -> Iterator[str]:
    if document["exit"] != 0:
        yield f"the test run ended with exit status {document['exit']}"
    if document["complete"] is not True:
        why = "; ".join(document.get("left_out", [])[:3])
        yield f"the last test run was of some tests only: run `make test` without ARGS{f' ({why})' if why else ''}"
    failed = dict[str, None]()
    for requirement, outcome in document["requirements"].items():
        for name in outcome["passed"]:
            add("tests", name, [requirement])
        failed.update(dict.fromkeys(outcome["failed"]))
    yield from (f"test {name} failed" for name in failed)


def _vectors(document: Any, add: Add) -> Iterator[str]:
    known = {
        case["id"]: case["requirements"]
        for kind in alts_vectors.load_all().values()
        for group in kind["testGroups"]
        for case in group["tests"]
    }
    ran = {case["id"] for case in document["cases"]}
    for name in sorted(known.keys() - ran):
        yield f"vector {name} did not run"
    for case in document["cases"]:
        if case["id"] not in known:
            yield f"vector {case['id']} is not in the files: the run was of others"
        elif case["passed"]:
            add("vectors", case["id"], known[case["id"]])
        else:
            yield f"vector {case['id']}: {case['mismatch']}"


def _checks(document: Any, add: Add) -> Iterator[str]:
    checks = document["checks"]
    left_out = sorted(set(NAMES) - {check["name"] for check in checks})
    yield from (f"model check {name} did not run" for name in left_out)
    failed = bool(left_out)
    for check in checks:
        if check["skipped"] is not None:
            yield f"model check {check['name']} was skipped: {check['skipped']}"
            failed = True
        elif check["findings"]:
            yield from (f"model check {check['name']}: {finding}" for finding in check["findings"])
            failed = True
        else:
            add("model", f"check {check['name']}", check["requirements"])
    if not failed:  # the tables are total, the machine walks them, and the documents say the same
        for rows in TABLES.values():
            for row in rows:
                add("model", f"{row.role} {row.state} {row.input}", row.requirements)


def _searches(document: Any, add: Add) -> Iterator[str]:
    if document["exit"] != 0:
        yield f"the model's searches ended with exit status {document['exit']}"
    ran = {(run["scenario"], frozenset(run["without"])) for run in document["runs"]}
    for scenario, left_out in planned():
        if (scenario, left_out) not in ran:
            named = f" without {', '.join(sorted(left_out))}" if left_out else ""
            yield f"search {scenario}{named} did not run"
    for run in document["runs"]:
        without = f" without {', '.join(run['without'])}" if run["without"] else ""
        add("model", f"search {run['scenario']}{without}", run["evidence"])


def _proofs(document: Any, add: Add) -> Iterator[str]:
    manifest, bad, settled, left_open = load_manifest(), False, set[str](), set[str]()
    known = manifest.queries
    may_be_open = {
        query.id
        for script in manifest.scripts
        if script.builtin_open is not None and document["engine"] == BuiltIn.name
        for query in script.queries
    }
    for file in document["files"]:
        for query in file["queries"]:
            name, result = query["query"], query["result"]
            if name not in known:
                bad = True
                yield f"proof query {name} is not among the expected results: the run was of others"
            elif result == known[name].expected:
                settled.add(name)
                add("proofs", name, known[name].requirements)
            elif name in may_be_open and result in UNSETTLED:
                left_open.add(name)
            else:
                bad = True
                yield f"proof query {name}: {result}, not {known[name].expected}"
    ran = settled | left_open
    if not bad:
        left_out = sorted(known.keys() - ran)
        yield from (f"proof query {name} did not run" for name in left_out)
        bad = bool(left_out)
    if not bad:  # HS-13 is about the whole of it
        is_open = f", {len(left_open)} of them open as declared" if left_open else ""
        title = f"{len(ran)} queries of {len(document['files'])} scripts{is_open}, engine {document['engine']}"
        add("proofs", title, ["HS-13"])


def _conformance(document: Any, add: Add) -> Iterator[str]:
    if document["interrupted"]:
        yield "the conformance run was interrupted"
    yield from (f"conformance: {error}" for error in document["errors"])
    known = {instance.id: instance.case for instance in instances()}
    for name in sorted(known.keys() - {result["id"] for result in document["results"]}):
        yield f"case {name} did not run"
    for result in document["results"]:
        verdict, case = Verdict(result["verdict"]), known.get(result["id"])
        if verdict is Verdict.PASS and case is not None:  # cases and peers of others are no evidence
            add("conformance", case.id, case.requirements)
        elif verdict in FINDINGS or verdict is Verdict.HARNESS:
            yield f"case {result['case']} against {', '.join(result['peers'])}: {verdict}"


def instances() -> list[_case.Instance]:
    """What `alts conform` runs: every case of the package against every built-in peer.

    Where a peer cannot run, its instances are in the report all the same, as skipped.

    Raises:
        HarnessError: a case module cannot be loaded.
    """
    peers = {name: _peers.get(name).capabilities for name in _peers.BUILTIN}
    own = f"{__package__}.cases."
    everything = _case.discover().instances(peers)
    return [instance for instance in everything if instance.case.function.__module__.startswith(own)]


def _attacks(document: Any, add: Add) -> Iterator[str]:
    outcomes = {
        (one["name"], trial["name"]): trial["outcome"] for one in document["attacks"] for trial in one["trials"]
    }
    for attack in ATTACKS:
        as_told = True
        for trial in attack.trials:
            outcome = outcomes.pop((attack.name, trial.name), None)
            if outcome is None:
                yield f"attack {attack.name}/{trial.name} did not run"
            elif outcome != trial.expected:
                yield f"attack {attack.name}/{trial.name}: {outcome}, not {trial.expected} as the gallery says"
            as_told = as_told and outcome == trial.expected
        if as_told:
            add("attacks", attack.name, attack.requirements)
    yield from (f"attack {attack}/{trial} is not in the gallery: the run was of others" for attack, trial in outcomes)


SOURCES = (
    Source("requirements-tests.json", "make test", _tests),
    Source("vectors.json", "make vectors", _vectors),
    Source("model-checks.json", "make model", _checks),
    Source("model.json", "make model", _searches),
    Source("prove.json", "make prove", _proofs),
    Source("conform/report.json", "make conform", _conformance),
    Source("attacks/report.json", "make attacks", _attacks),
)
"""All records, in the order of the columns."""
