"""What `alts doctor --trace` reads: the records that each kind of run leaves below `build/`.

Each reader gives what ran and passed, and names what failed. A record that is missing, damaged, or of a run that ended
badly is no evidence: it is a failure. Nothing is looked for in source text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alts_vectors
from alts_model.tables import TABLES
from alts_proofs import ProofsError, load_manifest

from ._verdict import FINDINGS, Verdict

Add = Callable[[str, str, Sequence[str]], None]
"""Kind of evidence, name, requirement IDs."""


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
        except (ProofsError, alts_vectors.VectorsError) as error:  # the files that a record is about
            raise Unusable(f"build/{self.file}: {error}") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise Unusable(f"build/{self.file}: {error!r}: run `{self.command}` again") from None


def _tests(document: Any, add: Add) -> Iterator[str]:
    if document["exit"] != 0:
        yield f"the test run ended with exit status {document['exit']}"
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
    checks, failed = document["checks"], False
    for check in checks:
        if check["skipped"] is not None:
            yield f"model check {check['name']} was skipped: {check['skipped']}"
            failed = True
        elif check["findings"]:
            yield from (f"model check {check['name']}: {finding}" for finding in check["findings"])
            failed = True
        else:
            add("model", f"check {check['name']}", check["requirements"])
    if checks and not failed:  # the tables are total, the machine walks them, and the documents say the same
        for rows in TABLES.values():
            for row in rows:
                add("model", f"{row.role} {row.state} {row.input}", row.requirements)


def _searches(document: Any, add: Add) -> Iterator[str]:
    if document["exit"] != 0:
        yield f"the model's searches ended with exit status {document['exit']}"
    for run in document["runs"]:
        without = f" without {', '.join(run['without'])}" if run["without"] else ""
        add("model", f"search {run['scenario']}{without}", run["evidence"])


def _proofs(document: Any, add: Add) -> Iterator[str]:
    known, bad = load_manifest().queries, False
    ran = set[str]()
    for file in document["files"]:
        for query in file["queries"]:
            name = query["query"]
            ran.add(name)
            if query["result"] == query["expected"]:
                add("proofs", name, known[name].requirements if name in known else ())
            else:
                bad = True
                yield f"proof query {name}: {query['result']}, not {query['expected']}"
    left_out = sorted(known.keys() - ran)
    yield from (f"proof query {name} did not run" for name in left_out)
    if ran and not bad and not left_out:  # HS-13 is about the whole of it
        title = f"{len(ran)} queries of {len(document['files'])} scripts, engine {document['engine']}"
        add("proofs", title, ["HS-13"])


def _conformance(document: Any, add: Add) -> Iterator[str]:
    if document["interrupted"]:
        yield "the conformance run was interrupted"
    yield from (f"conformance: {error}" for error in document["errors"])
    for result in document["results"]:
        if result["verdict"] == Verdict.PASS:
            add("conformance", result["case"], result["requirements"])
        elif result["verdict"] in FINDINGS or result["verdict"] == Verdict.HARNESS:
            yield f"case {result['case']} against {', '.join(result['peers'])}: {result['verdict']}"


def _attacks(document: Any, add: Add) -> Iterator[str]:
    for attack in document["attacks"]:
        told = [trial["as_told"] for trial in attack["trials"]]
        if told and all(told):
            add("attacks", attack["name"], attack["requirements"])
        else:
            yield f"attack {attack['name']}: not as the gallery says"


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
