"""The relay's view of frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_conformance._frames import DATA, Frame, FrameSplitter, make_frame
from alts_conformance._manipulate import flip_bit_of


@pytest.mark.req("REC-2")
@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=80)), max_size=8),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_any_segmentation_gives_the_same_frames(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(make_frame(kind, payload) for kind, payload in frames)
    splitter, got, at = FrameSplitter(), [], 0
    for cut in [*sorted(min(c, len(stream)) for c in cuts), len(stream)]:
        got += splitter.feed(stream[at:cut])
        at = cut
    assert [(frame.type, frame.payload) for frame in got] == frames
    assert splitter.pending == b""


@given(st.binary(min_size=1, max_size=200), st.integers(0, 3))
def test_what_is_no_frame_passes_unchanged(garbage: bytes, low: int) -> None:
    stream = low.to_bytes(4, "little") + garbage
    splitter = FrameSplitter()
    got = splitter.feed(stream)
    got += splitter.feed(b"more")
    assert all(frame.opaque for frame in got)
    assert splitter.opaque
    assert b"".join(frame.raw for frame in got) == stream + b"more"


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [("length", 0, 4), ("type", 4, 8), ("ciphertext", 8, 18), ("tag", 18, 34), ("payload", 8, 34)],
)
def test_flips_stay_inside_their_field(field: str, start: int, stop: int) -> None:
    raw = make_frame(DATA, bytes(26))
    for bit in range(8 * (stop - start) + 3):
        changed = flip_bit_of(raw, bit, field)
        different = [at for at in range(len(raw)) if raw[at] != changed[at]]
        assert len(different) == 1
        assert start <= different[0] < stop


def test_flip_in_a_field_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no ciphertext"):
        flip_bit_of(make_frame(DATA, bytes(16)), 0, "ciphertext")


def test_header_words() -> None:
    frame = Frame(make_frame(31, b"abc"))
    assert (frame.length, frame.type, frame.payload) == (7, 31, b"abc")
