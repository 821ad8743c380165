"""Queries that the expected results declare open for the built-in engine: run, counted, never taken for proved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, cast

import jsonschema
import pytest

from alts_proofs import Script, load_manifest, report_schema
from alts_proofs import prove as prove_with
from alts_proofs._outcome import Outcome
from tests.proofs import fake

pytestmark = pytest.mark.req("HS-13")


@dataclass
class Told:
    """An engine that answers what it was told."""

    name: str
    outcomes: tuple[Outcome, ...]
    version: str | None = None

    def available(self) -> str | None:
        return None

    def prove(self, script: Script, timeout: float, cancelled: Event) -> tuple[Outcome, ...]:
        return self.outcomes


def declared_open() -> dict[str, Any]:
    manifest = fake.expectations()
    manifest["files"][0]["builtin_open"] = "made up: it cannot"
    return manifest


@pytest.mark.parametrize(
    ("engine", "result", "code"),
    [
        ("builtin", "cannot_be_proved", 0),
        ("builtin", "timeout", 0),
        ("builtin", "skipped", 0),
        ("builtin", "wrong", 1),
        ("proverif", "cannot_be_proved", 1),
    ],
)
def test_open_queries_are_counted_and_only_for_the_built_in_engine(
    tmp_path: Path, engine: str, result: str, code: int
) -> None:
    place = fake.place(tmp_path, declared_open())
    (script,) = load_manifest(place.manifest, place.root).scripts
    first, *rest = script.queries
    wrong = "false" if first.expected == "true" else "true"
    outcomes = (
        Outcome(first, cast("Any", wrong if result == "wrong" else result)),
        *(Outcome(q, q.expected) for q in rest),
    )
    report = prove_with(Told(engine, outcomes), [script])
    is_open = engine == "builtin" and result in ("cannot_be_proved", "timeout")
    assert report.exit_code() == code
    assert len(report.open) == is_open
    assert report.count()[0] == len(rest)
    assert ("made up: it cannot" in "\n".join(report.lines())) == is_open
    document = report.document()
    jsonschema.Draft202012Validator(report_schema()).validate(document)
    assert ("open" in document["files"][0]["queries"][0]) == is_open


def test_run_that_leaves_everything_open_is_3(tmp_path: Path) -> None:
    place = fake.place(tmp_path, declared_open())
    (script,) = load_manifest(place.manifest, place.root).scripts
    outcomes = tuple(Outcome(query, "cannot_be_proved") for query in script.queries)
    report = prove_with(Told("builtin", outcomes), [script])
    assert len(report.open) == len(script.queries)
    assert report.exit_code() == 3
    assert report.exit_code(allow_skipped=True) == 3
