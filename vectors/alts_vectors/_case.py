"""The common shape of cases, groups and files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._files import SCHEMA_VERSION, VECTORS_VERSION, Json
from ._flags import NOTES


@dataclass(frozen=True, slots=True)
class Why:
    """What a case is about: comment (what is done), reason (why it matters), where it comes from, its flags."""

    comment: str
    reason: str
    requirements: tuple[str, ...]
    spec: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(slots=True)
class Group:
    """Cases of one type."""

    type: str
    comment: str
    tests: list[Json] = field(default_factory=list)

    def add(
        self,
        name: str,
        why: Why,
        *,
        input: Mapping[str, Any],
        result: Mapping[str, Any],
        intermediate: Mapping[str, Any] | None = None,
    ) -> None:
        """One case; its ID is the group's type and `name`."""
        self.tests.append(
            {
                "id": f"{self.type}/{name}",
                "comment": why.comment,
                "reason": why.reason,
                "requirements": list(why.requirements),
                "spec": list(why.spec),
                "flags": list(why.flags),
                "input": dict(input),
                "intermediate": dict(intermediate or {}),
                "result": dict(result),
            }
        )


def document(
    kind: str, seed: str, header: str, groups: Sequence[Group], endpoints: Mapping[str, Json] | None = None
) -> Json:
    """A whole file, with the notes of the flags that its cases use."""
    flags = sorted({flag for group in groups for test in group.tests for flag in test["flags"]})
    result: Json = {
        "kind": kind,
        "schema": f"{kind}.schema.json",
        "schemaVersion": SCHEMA_VERSION,
        "vectorsVersion": VECTORS_VERSION,
        "specification": "the openalts profile, version 1 (SPEC.md)",
        "generator": "alts_vectors, from the executable model alts_model",
        "seed": seed,
        "header": textwrap.wrap(header, 100),
        "notes": {
            flag: {
                "bugType": NOTES[flag].bug_type,
                "description": NOTES[flag].description,
                "effect": NOTES[flag].effect,
            }
            for flag in flags
        },
        "numberOfTests": sum(len(group.tests) for group in groups),
    }
    if endpoints is not None:
        result["endpoints"] = dict(endpoints)
    result["testGroups"] = [{"type": group.type, "comment": group.comment, "tests": group.tests} for group in groups]
    return result


def hexes(values: Mapping[str, bytes]) -> dict[str, str]:
    """Byte strings in hexadecimal."""
    return {name: value.hex() for name, value in values.items()}


def joined(parts: Iterable[bytes]) -> bytes:
    """One byte string."""
    return b"".join(parts)
