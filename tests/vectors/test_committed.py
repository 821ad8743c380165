"""The committed vectors are what the model generates, pass the linter, and the implementation agrees with each."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import alts_vectors
from alts_conformance.vector_target import TARGET
from alts_model.errors import ERRORS
from alts_vectors._files import SCHEMAS, Json, data_path, dump
from alts_vectors._flags import NOTES
from tools.gen_requirements import load

KINDS = alts_vectors.KINDS


@pytest.fixture(scope="module")
def committed() -> dict[str, Json]:
    return alts_vectors.load_all()


@pytest.fixture(scope="module")
def generated() -> dict[str, Json]:
    return alts_vectors.generate()


@pytest.mark.req("HS-5", "REC-6", "HS-4", "CRED-1", "CRED-2")
@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_file_is_what_the_model_generates(kind: str, generated: dict[str, Json]) -> None:
    assert data_path(kind).read_bytes() == dump(generated[kind]), "run `alts vectors generate`"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(generated: dict[str, Json]) -> None:
    again, other = alts_vectors.generate(), alts_vectors.generate("another seed")
    for kind in KINDS:
        assert dump(again[kind]) == dump(generated[kind])
        assert (dump(other[kind]) == dump(generated[kind])) is (kind == "policies"), "policies hold nothing random"
        ids = [[test["id"] for group in d[kind]["testGroups"] for test in group["tests"]] for d in (generated, other)]
        assert ids[0] == ids[1], "IDs do not depend on the seed"


def test_the_linter_finds_nothing(committed: dict[str, Json]) -> None:
    assert list(alts_vectors.lint(committed)) == []


@pytest.mark.req("HS-1", "HS-3", "HS-4", "HS-5", "HS-6", "HS-7", "HS-8", "HS-9", "REC-2", "REC-5", "REC-6", "REC-8")
@pytest.mark.req("TRUST-1", "TRUST-2", "TRUST-3", "CRED-1", "CRED-2", "CRED-4", "POLICY-3", "REVOKE-1", "REVOKE-6")
@pytest.mark.parametrize("kind", KINDS)
def test_the_implementation_agrees_with_every_case(kind: str, committed: dict[str, Json]) -> None:
    reports = list(alts_vectors.verify({kind: committed[kind]}, TARGET))
    assert len(reports) == committed[kind]["numberOfTests"]
    assert [report for report in reports if not report.passed] == []


@pytest.mark.req("HS-1", "REC-6")
def test_another_seed_is_agreed_on_too() -> None:
    """The agreement is not about one set of keys."""
    reports = list(alts_vectors.verify(alts_vectors.generate("another seed"), TARGET))
    assert [report for report in reports if not report.passed] == []


def test_the_schemas_know_every_requirement_and_error() -> None:
    common = json.loads((SCHEMAS / "common.schema.json").read_text())["$defs"]
    assert common["requirement"]["enum"] == [item.id for item in load()[1]]
    assert common["error"]["enum"] == list(ERRORS)


def test_every_schema_object_forbids_what_it_does_not_name() -> None:
    def objects(node: object) -> list[Json]:
        if isinstance(node, list):
            return [found for item in node for found in objects(item)]
        if not isinstance(node, dict):
            return []
        own = [node] if node.get("type") == "object" else []
        return own + [found for value in node.values() for found in objects(value)]

    paths = sorted(SCHEMAS.glob("*.json"))
    assert {path.name for path in paths} == {f"{kind}.schema.json" for kind in (*KINDS, "common")}
    for path in paths:
        for schema in objects(json.loads(path.read_text())):
            extra = schema.get("additionalProperties")
            # a map from names to values of one shape, or nothing but what is named
            assert extra is False or (isinstance(extra, dict) and "properties" not in schema), (path.name, schema)


def test_every_flag_has_a_case_and_every_sent_error_one(committed: dict[str, Json]) -> None:
    cases = [case for document in committed.values() for group in document["testGroups"] for case in group["tests"]]
    assert {flag for case in cases for flag in case["flags"]} == set(NOTES)
    errors = Counter(case["result"].get("error") for case in cases)
    # Not reachable with what this version implements: every record protocol encrypts, there is no clock inside a
    # connection, and the own fault is the caller's.
    unreachable = {"INSUFFICIENT_PROTECTION", "HANDSHAKE_TIMEOUT", "INTERNAL_ERROR"}
    assert set(ERRORS) - set(errors) == unreachable


def test_the_readme_names_every_file(committed: dict[str, Json]) -> None:
    text = (Path(__file__).resolve().parents[2] / "vectors" / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{kind}` |" in text for kind in committed)
