"""Frame headers, sequences of frames, and records, spoilt in every way: both react alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import alts
from alts_model.errors import CounterLimit, Refused
from alts_model.record import RecordMachine
from alts_model.tables import FRAME_LIMIT, REKEY_INTERVAL
from alts_vectors.target import RoleName
from tests.differential.lockstep import CLIENT, HONEST, SERVER, WORLD, Conversation, Lockstep, end_in

STATES: list[tuple[RoleName, str]] = [
    ("client", "START"),
    ("client", "WAIT_SERVER_INIT"),
    ("client", "WAIT_SERVER_FINISHED"),
    ("client", "OPEN"),
    ("client", "CLOSED"),
    ("client", "FAILED"),
    ("server", "WAIT_CLIENT_INIT"),
    ("server", "WAIT_CLIENT_FINISHED"),
    ("server", "OPEN"),
    ("server", "CLOSED"),
    ("server", "FAILED"),
]
LENGTHS = (0, 1, 3, 4, 5, 19, 20, 21, 16383, 16384, 16385, 65536, 1048575, 1048576, 1048577, 2**31, 2**32 - 1)
TYPES = (0, 1, 5, 6, 7, 15, 16, 17, 18, 19, 20, 30, 31, 32, 0x106, 0x06000000, 0x10000000, 2**32 - 1)


@pytest.mark.req("REC-2", "REC-3", "HS-2")
@pytest.mark.parametrize(("role", "state"), STATES)
def test_every_header_is_judged_alike_and_without_its_payload(role: RoleName, state: str) -> None:
    """Byte by byte, so that both must also refuse at the same byte."""
    for length in LENGTHS:
        for number in TYPES:
            end = end_in(role, state)
            for byte in length.to_bytes(4, "little") + number.to_bytes(4, "little"):
                end.receive(bytes([byte]))
            end.receive(b"x" * 7)
            end.end()


FRAMES: dict[str, bytes] = {
    "client_init": HONEST.client_init,
    "server_init": HONEST.server_init,
    "server_finished": HONEST.server_finished,
    "client_finished": HONEST.client_finished,
    **{f"client_record_{number}": record for number, record in enumerate(HONEST.client_records)},
    **{f"server_record_{number}": record for number, record in enumerate(HONEST.server_records)},
    "alert": bytes.fromhex("060000001f0000000805"),
    "unknown": bytes.fromhex("0500000014000000ff"),
    "empty": b"",
}


@st.composite
def spoilt(draw: st.DrawFn, name: str) -> bytes:
    """A frame, most often whole; or cut, grown, or with a byte of header or payload changed."""
    data = FRAMES[name]
    match draw(st.sampled_from(["whole"] * 5 + ["cut", "grown", "byte"])):
        case "cut":
            return data[: draw(st.integers(0, len(data)))]
        case "grown":
            return data + draw(st.binary(min_size=1, max_size=9))
        case "byte" if data:
            at = draw(st.integers(0, len(data) - 1))
            return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
        case _:
            return data


@pytest.mark.req("HS-2", "HS-9", "REC-5", "REC-8")
@settings(max_examples=300)
@given(st.data())
def test_frames_in_any_order_number_and_segmentation_are_taken_alike(data: st.DataObject) -> None:
    """Honest frames of one run: reordered, duplicated, dropped, cut, mixed with sends, closes and ends."""
    role: RoleName = data.draw(st.sampled_from(["client", "server"]))
    honest = ["server_init", "server_finished", "server_record_0", "server_record_1"]
    if role == "server":
        honest = ["client_init", "client_finished", "client_record_0", "client_record_1"]
    # Most often the right frames with something done to them: a random order would hardly get anywhere.
    names = [name for name in honest for _ in range(data.draw(st.sampled_from([1, 1, 1, 1, 0, 2])))]
    if data.draw(st.integers(0, 3)) == 0:
        names = data.draw(st.permutations(names))
    for _ in range(data.draw(st.integers(0, 2))):
        names.insert(data.draw(st.integers(0, len(names))), data.draw(st.sampled_from(sorted(FRAMES))))
    stream = b"".join(data.draw(spoilt(name)) for name in names)
    end = Lockstep(role, CLIENT if role == "client" else SERVER)
    if role == "client" and data.draw(st.integers(0, 9)):
        end.start()
    while stream:
        size = data.draw(st.sampled_from([len(stream), len(stream), 1, 8, 50, 200]))
        end.receive(stream[:size])
        stream = stream[size:]
        if data.draw(st.integers(0, 9)) == 0:
            end.send(b"x" * data.draw(st.sampled_from([0, 1, 20000])))
        if data.draw(st.integers(0, 29)) == 0:
            end.start()
        if data.draw(st.integers(0, 29)) == 0:
            end.close()
    end.end()
    end.receive(b"afterwards")
    end.end()
    end.close()


@pytest.mark.req("REC-5", "REC-6", "REC-8")
@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(["next", "next", "next", "replay", "skip", "flip", "reflect", "cut"]), min_size=1, max_size=6
    ),
    st.sampled_from(["client", "server"]),
    st.data(),
)
def test_records_are_opened_alike(actions: list[str], role: RoleName, data: st.DataObject) -> None:
    talk = Conversation(CLIENT, SERVER)
    talk.handshake()
    receiver, sender = (talk.client, talk.server) if role == "client" else (talk.server, talk.client)
    last = sender.send(b"first")
    receiver.receive(last)
    for action in actions:
        record = sender.send(data.draw(st.binary(min_size=1, max_size=40)))
        if action == "skip":
            record = sender.send(b"after the skipped one")
        if action == "flip":
            at = data.draw(st.integers(8, len(record) - 1))
            record = record[:at] + bytes([record[at] ^ 1 << data.draw(st.integers(0, 7))]) + record[at + 1 :]
        if action == "reflect":
            record = receiver.send(b"its own") if receiver.state == "OPEN" else b""
        if action == "cut":
            record = record[:-1]
        if action == "replay":
            record = last
        before = receiver.state
        receiver.receive(record)
        last = record
        if before == "OPEN" and action in ("replay", "skip", "flip", "reflect"):
            assert receiver.state == "FAILED"
            return
    receiver.end()


M = WORLD.derive("record secret") * 4
BOUNDARIES = (0, REKEY_INTERVAL, 2 * REKEY_INTERVAL, 256 * REKEY_INTERVAL, 2**32, 2**48, 2**63, FRAME_LIMIT)
FIRST = st.one_of(
    st.builds(lambda at, by: min(FRAME_LIMIT, max(0, at + by)), st.sampled_from(BOUNDARIES), st.integers(-4, 4)),
    st.integers(0, FRAME_LIMIT),
)


@pytest.mark.req("REC-4", "REC-6", "REC-8")
@settings(max_examples=150)
@given(
    FIRST, st.sampled_from(["client", "server"]), st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6)
)
def test_the_counter_is_the_same_everywhere(first: int, sender: RoleName, plaintexts: list[bytes]) -> None:
    """Around every change of keys and at the limit: the same frames, and each opens what the other sealed."""
    receiver: RoleName = "server" if sender == "client" else "client"
    model = RecordMachine(M, sender, send_counter=first)
    implementation = alts.Sealer(M, alts.Role(sender), 16384, first)
    model_opens = RecordMachine(M, receiver, receive_counter=first)
    implementation_opens = alts.Opener(M, alts.Role(receiver), 16384, first)
    for plaintext in plaintexts:
        try:
            frame = model.seal(plaintext)
        except CounterLimit:
            with pytest.raises(alts.FrameLimitError):
                implementation.seal(plaintext)
            stray = alts.Sealer(M, alts.Role(sender), 16384, 0).seal(plaintext)
            with pytest.raises(Refused) as refused:
                model_opens.open(bytes(stray[8:]))
            with pytest.raises(alts.PeerViolation) as violation:
                list(implementation_opens.open(stray))
            assert refused.value.error.name == violation.value.code.name == "COUNTER_LIMIT"
            return
        assert implementation.seal(plaintext) == frame
        assert model_opens.open(frame[8:]) == plaintext
        assert list(map(bytes, implementation_opens.open(frame))) == [plaintext]


@pytest.mark.req("REC-4")
def test_at_the_limit_a_sender_closes() -> None:
    """SPEC 8.4: at the limit the sender closes; nothing of what did not fit is sent."""
    end = end_in("client", "OPEN")
    end.send(b"x")
    end.model.jump(sent=FRAME_LIMIT)
    sealer = end.implementation._sealer
    assert sealer is not None
    sealer.frames = FRAME_LIMIT  # the only way there: 2^64 frames
    assert end.send(b"one too many") == b""
    assert end.state == "CLOSED"
