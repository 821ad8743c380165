"""The record vectors of this project against peers that offer their record protocol: bytes made by the model decide."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from alts_conformance import CaseRun, HarnessError, Severity, case

SCHEME = "ALTSRP_GCM_AES128_REKEY"


@functools.cache
def _tests() -> dict[str, dict[str, Any]]:
    source = resources.files("alts_vectors") / "data" / "record.json"
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
        return {test["id"].partition("/")[2]: test for group in document["testGroups"] for test in group["tests"]}
    except (OSError, ValueError, KeyError) as error:
        raise HarnessError(f"the record vectors cannot be read: {error}") from None


def _names(verdict: str) -> Iterator[str]:
    return (name for name, test in _tests().items() if test["result"]["verdict"] == verdict)


def _common(test: dict[str, Any], sender: str) -> dict[str, Any]:
    given = test["input"]
    return {
        "scheme": SCHEME,
        "key_data": given["M"],
        "role": sender,
        "counter": int(given["firstFrame"]),
        "max_frame_size": given["maxFrameSize"],
    }


RECORD: dict[str, Any] = {"subjects": ("record",), "severity": Severity.CRITICAL}


@case(
    **RECORD,
    requirements=("REC-6", "REC-8", "REC-4"),
    why="Two ends of one implementation agree even if both count wrong; these bytes come from elsewhere.",
    parameters={"vector": tuple(name for name in _names("valid") if _tests()[name]["input"]["sealable"])},
    profiles=("smoke",),
)
async def sealed_frames_are_those_of_the_vector(run: CaseRun, vector: str) -> None:
    """The plaintexts of a record vector, sealed from its frame number on, give exactly its bytes."""
    test = _tests()[vector]
    driver = await run.driver("record")
    sender = test["input"]["sender"]
    answer = await driver.call("record_seal", **_common(test, sender), plaintexts=test["input"]["plaintexts"])
    run.expect(answer["frames"] == test["result"]["wire"], "the sealed frames differ from the vector's")


@case(
    **RECORD,
    requirements=("REC-6", "REC-8", "REC-4"),
    why="Two ends of one implementation agree even if both count wrong; these bytes come from elsewhere.",
    parameters={"vector": tuple(_names("valid"))},
)
async def frames_of_the_vector_open(run: CaseRun, vector: str) -> None:
    """The frames of a record vector open, from its frame number on, to exactly its plaintexts."""
    test = _tests()[vector]
    driver = await run.driver("record")
    answer = await driver.call("record_open", **_common(test, test["input"]["sender"]), frames=test["result"]["wire"])
    run.expect(answer["refused"] is False, "a frame of the vector was refused")
    run.expect(answer["plaintexts"] == test["input"]["plaintexts"], "the opened plaintexts differ from the vector's")


@case(
    **RECORD,
    requirements=("REC-5", "REC-8", "REC-3"),
    why="What a receiver takes that it must not is an attacker's to use.",
    parameters={"vector": tuple(_names("invalid"))},
)
async def bad_frames_of_the_vector_are_refused(run: CaseRun, vector: str) -> None:
    """The frames of an invalid record vector are refused at the right one; those before it open."""
    test = _tests()[vector]
    sender = "client" if test["input"]["receiver"] == "server" else "server"
    driver = await run.driver("record")
    answer = await driver.call("record_open", **_common(test, sender), frames=[test["input"]["wire"]])
    run.expect(answer["refused"] is True, "no frame of the vector was refused")
    delivered = test["result"].get("plaintexts", [])
    run.expect(answer["plaintexts"] == delivered, f"{len(answer['plaintexts'])} frames opened, {len(delivered)} should")
