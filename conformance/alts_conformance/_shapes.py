"""The published shape of a driver's answers (schemas/driver.schema.json), as the harness checks each of them."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jsonschema


@functools.cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    text = (resources.files("alts_conformance") / "schemas" / "driver.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator({**json.loads(text), "$ref": f"#/$defs/{name}"})


def problem_of_answer(command: str, answer: Mapping[str, Any]) -> str | None:
    """What is wrong with an answer to a command, in words, or None; a command that nobody knows may only be refused.

    No value of the answer is quoted at length: messages go into reports.
    """
    if answer.get("ok") is True:
        if command not in known_commands():
            return None  # the caller refuses it, whatever it looks like
        name = f"answer_{command}"
    else:
        name = "refusal"
    error = next(_validator(name).iter_errors(dict(answer)), None)
    if error is None:
        return None
    where = "/".join(str(part) for part in error.absolute_path)
    return (f"{where}: " if where else "") + str(error.message)[:200]


@functools.cache
def known_commands() -> frozenset[str]:
    """The commands of the driver protocol."""
    text = (resources.files("alts_conformance") / "schemas" / "driver.schema.json").read_text(encoding="utf-8")
    names = json.loads(text)["$defs"]
    return frozenset(name.removeprefix("answer_") for name in names if name.startswith("answer_"))
