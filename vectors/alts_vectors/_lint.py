"""Checks the form of the vectors: schemas, IDs, flags, reasons; nothing here needs an implementation or the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from ._bad import STEPS
from ._files import KINDS, SCHEMA_VERSION, SCHEMAS, VECTORS_VERSION, Json, load

_PLACEHOLDERS = ("todo", "fixme", "tbd", "lorem", "xxx")


def validator(kind: str) -> Draft202012Validator:
    """The validator of a kind's files. Raises UnreadableError if a schema is missing."""
    common = load(SCHEMAS / "common.schema.json")
    registry: Registry[Any] = Registry().with_resource("common.schema.json", Resource.from_contents(common))
    return Draft202012Validator(load(SCHEMAS / f"{kind}.schema.json"), registry=registry)


def lint(documents: Mapping[str, Json]) -> Iterator[str]:
    """Every finding, one line each, with the file and the case."""
    for kind in KINDS:
        if kind not in documents:
            yield f"{kind}: no such file"
    known: Counter[str] = Counter()
    for kind, document in documents.items():
        if kind not in KINDS:
            yield f"{kind}: not a kind of vectors"
            continue
        problems = list(_schema(kind, document))
        yield from problems
        if not problems:  # what follows relies on the shape
            yield from _content(kind, document, known)
    yield from (f"{case_id}: used {count} times" for case_id, count in known.items() if count > 1)


def _schema(kind: str, document: Json) -> Iterator[str]:
    for error in sorted(validator(kind).iter_errors(document), key=lambda error: list(map(str, error.absolute_path))):
        # `oneOf` over groups says only that none fits; the group whose type is meant says why.
        cause = error
        if error.validator == "oneOf":
            branches: dict[object, list[ValidationError]] = {}
            for inner in error.context or ():
                branches.setdefault(inner.schema_path[0], []).append(inner)
            meant = [found for found in branches.values() if all(list(inner.path)[-1:] != ["type"] for inner in found)]
            cause = (meant[0] if meant else [error])[0]
            cause = best_match(iter([cause])) or cause
        place = "/".join(map(str, cause.absolute_path))
        yield f"{kind}: {place}: {cause.message[:200]}"


def _content(kind: str, document: Json, known: Counter[str]) -> Iterator[str]:
    cases = [(group, case) for group in document["testGroups"] for case in group["tests"]]
    if document["numberOfTests"] != len(cases):
        yield f"{kind}: numberOfTests is {document['numberOfTests']}, there are {len(cases)} cases"
    if document["vectorsVersion"] != VECTORS_VERSION or document["schemaVersion"] != SCHEMA_VERSION:
        yield f"{kind}: versions are not {VECTORS_VERSION} and {SCHEMA_VERSION}"
    used: set[str] = set()
    named: set[str] = set()
    for group, case in cases:
        known[case["id"]] += 1
        used.update(case["flags"])
        if case["id"].partition("/")[0] != group["type"]:
            yield f"{case['id']}: not of its group's type, {group['type']}"
        yield from _words(case)
        for flag in case["flags"]:
            if flag not in document["notes"]:
                yield f"{case['id']}: flag {flag} has no note"
        if "step" in case["result"] and STEPS.get(case["result"]["error"]) != case["result"]["step"]:
            yield f"{case['id']}: {case['result']['error']} is not of step {case['result']['step']}"
        if "endpoints" in document:
            places = [case["input"], *case["input"].get("connections", ())]
            names = {place[key] for place in places for key in ("client", "server", "endpoint") if key in place}
            named |= names
            yield from (f"{case['id']}: no endpoint {name}" for name in sorted(names - document["endpoints"].keys()))
    yield from (f"{kind}: no case has the flag {flag}" for flag in sorted(document["notes"].keys() - used))
    yield from (
        f"{kind}: no case uses the endpoint {name}" for name in sorted(document.get("endpoints", {}).keys() - named)
    )
    yield from _duplicates(cases)


def _words(case: Json) -> Iterator[str]:
    for key in ("comment", "reason"):
        text = case[key]
        if text != text.strip() or any(word in text.lower().split() for word in _PLACEHOLDERS):
            yield f"{case['id']}: {key} is a placeholder or has blanks around it"
    if len(case["reason"].split()) < 2 or case["reason"].strip(" .") == case["comment"].strip(" ."):
        yield f"{case['id']}: the reason says nothing"


def _duplicates(cases: list[tuple[Json, Json]]) -> Iterator[str]:
    """Two cases with the same input test one thing twice."""
    first: dict[str, str] = {}
    for group, case in cases:
        key = group["type"] + repr(case["input"])
        if key in first:
            yield f"{case['id']}: the same input as {first[key]}"
        first.setdefault(key, case["id"])
