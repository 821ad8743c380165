"""Recordings: frames beyond the budget are judged and wake whoever waits; what is in clear is found anywhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_conformance import Reaction
from alts_conformance._frames import DATA, make_frame
from alts_conformance._recording import TRANSCRIPT_BYTES, Recording, reaction_in
from alts_conformance.cases.rpc import first_in_clear

ALERT = 31


def full(budget: int = 1000) -> Recording:
    """A recording whose budget is used up, by a frame of each direction."""
    recording = Recording("link", budget=budget)
    recording.add("frame", "c2s", make_frame(DATA, bytes(budget)))
    recording.add("frame", "s2c", make_frame(DATA, bytes(budget)))
    return recording


@pytest.mark.req("REC-5", "REC-8")
def test_frames_beyond_the_budget_are_judged() -> None:
    async def main() -> None:
        for frame_type, end, reaction in (
            (DATA, False, Reaction.CONTINUED),
            (None, False, Reaction.SILENT),
            (DATA, True, Reaction.CLOSED),
            (ALERT, True, Reaction.ALERT),
        ):
            recording = full()
            since = recording.mark()
            if frame_type is not None:
                recording.add("frame", "s2c", make_frame(frame_type, bytes(40)))
            if end:
                recording.add("fin", "s2c")
            assert reaction_in(recording, "s2c", since=since, alert_type=ALERT) is reaction
            # what the other end does is no reaction of this one
            assert reaction_in(recording, "c2s", since=since, alert_type=ALERT) is Reaction.SILENT

    asyncio.run(main())


def test_a_mark_counts_only_what_comes_behind_it() -> None:
    async def main() -> None:
        recording = full()
        for _ in range(5):
            recording.add("frame", "s2c", make_frame(DATA, bytes(40)))
        recording.add("rule", "s2c")
        rule = next(number for number, event in enumerate(recording.events) if event.kind == "rule")
        since = recording.mark()
        assert recording.since(rule, "s2c", DATA) == recording.since(since, "s2c", DATA) == 0
        recording.add("frame", "s2c", make_frame(DATA, bytes(40)))
        assert recording.since(rule, "s2c", DATA) == recording.since(since, "s2c", DATA) == 1
        assert recording.data_frames("s2c") == 7
        small = Recording("small")
        small.add("frame", "s2c", make_frame(DATA, bytes(40)))
        at = len(small.events)
        small.add("frame", "s2c", make_frame(DATA, bytes(40)))
        assert small.since(at, "s2c", DATA) == 1, "an event number that was not marked"

    asyncio.run(main())


def test_frames_beyond_the_budget_wake_whoever_waits() -> None:
    async def main() -> None:
        recording = full()
        waiting = asyncio.create_task(recording.wait_for(lambda record: record.data_frames("c2s") == 2, 20))
        await asyncio.sleep(0)
        recording.add("frame", "c2s", make_frame(DATA, bytes(40)))
        async with asyncio.timeout(5):
            assert await waiting

    asyncio.run(main())


def test_other_frames_are_kept_beyond_the_budget(tmp_path: Path) -> None:
    async def main() -> None:
        recording = full()
        for _ in range(300):
            recording.add("frame", "c2s", make_frame(DATA, bytes(40)))
        recording.add("frame", "c2s", make_frame(77, bytes(9000)))
        assert [frame.type for frame in recording.frames("c2s")] == [DATA, 77]
        assert recording.types("c2s") == {DATA, 77}
        assert len(recording.events) < 10
        assert len(recording.frames("c2s")[-1].raw) == TRANSCRIPT_BYTES
        recording.write(tmp_path / "out.jsonl")
        lines = (tmp_path / "out.jsonl").read_text().splitlines()
        assert '"c2s type 6": 301' in lines[-1]
        assert any('"type": 77' in line and '"size": 9008' in line for line in lines)

    asyncio.run(main())


@pytest.mark.req("REC-6")
@given(st.binary(min_size=16, max_size=60), st.binary(max_size=40), st.binary(max_size=40), st.data())
def test_sixteen_bytes_in_clear_are_found_wherever_they_are(
    text: bytes, before: bytes, after: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(text) - 16))
    assert first_in_clear(text, before + text[at : at + 16] + after) is not None


def test_less_is_not_found_and_the_place_is_told() -> None:
    text = bytes(range(100))
    assert first_in_clear(text, b"") is None
    assert first_in_clear(text, b"....." + text[10:25] + b".....") is None
    for at in (0, 1, 83, 84):
        assert first_in_clear(text, b"....." + text[at : at + 16] + b".....") == at
