"""Frames, order, alerts and ends of stream that must end a connection, as data (SPEC 2.3, 3, 5.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from alts_model.codec import frame, frame_of_type
from alts_model.tables import WIRE_INPUTS, Role, reaction

from . import _wire
from ._case import Why

if TYPE_CHECKING:
    from ._refusals import Act, Honest, Refusal

HEADER_IDS, STATE_IDS, ALERT_IDS = ("REC-2", "REC-3", "HS-2"), ("HS-2", "HS-9"), ("HS-2",)


def _refusal(name: str, role: Role, acts: tuple[Act, ...], error: str, why: Why) -> Refusal:
    from ._refusals import Refusal

    return Refusal(name, role, acts, error, why)


def ways(honest: Honest) -> dict[tuple[Role, str], tuple[Act, ...]]:
    """How to bring an endpoint into each live state."""
    start: Act = ("start", b"")
    client_init: Act = ("receive", frame("client_init", honest.client_init))
    server_init: Act = ("receive", frame("server_init", honest.server_init))
    server_finished: Act = ("receive", frame("server_finished", honest.server_finished))
    client_finished: Act = ("receive", frame("client_finished", honest.client_finished))
    return {
        ("client", "START"): (),
        ("client", "WAIT_SERVER_INIT"): (start,),
        ("client", "WAIT_SERVER_FINISHED"): (start, server_init),
        ("client", "OPEN"): (start, server_init, server_finished),
        ("server", "WAIT_CLIENT_INIT"): (),
        ("server", "WAIT_CLIENT_FINISHED"): (client_init,),
        ("server", "OPEN"): (client_init, client_finished),
    }


def inputs(honest: Honest, role: Role) -> dict[str, bytes]:
    """A good frame for each wire symbol (but `end`), as the peer of `role` would send it."""
    return {
        "client_init": frame("client_init", honest.client_init),
        "server_init": frame("server_init", honest.server_init),
        "server_finished": frame("server_finished", honest.server_finished),
        "client_finished": frame("client_finished", honest.client_finished),
        "alert": frame("alert", b"\x08\x05"),
        "data": honest.server_record if role == "client" else honest.client_record,
        "unknown": frame_of_type(20, b"?" * 20),
    }


def frames(honest: Honest) -> Iterator[Refusal]:
    """All of them."""
    yield from _headers(honest)
    yield from _out_of_order(honest)
    yield from _alerts(honest)
    yield from _truncations(honest)
    yield from _records(honest)


def _headers(honest: Honest) -> Iterator[Refusal]:
    def header(length: int, number: int) -> bytes:
        return length.to_bytes(4, "little") + number.to_bytes(4, "little")

    for (role, state), acts in ways(honest).items():
        if state == "OPEN":
            continue
        due = {"WAIT_CLIENT_INIT": 16, "WAIT_SERVER_INIT": 17, "WAIT_SERVER_FINISHED": 18}.get(state, 19)
        cases = {
            "length-0": (header(0, due)[:4], "DECODE_ERROR", "Four bytes are enough: there is no room for a type."),
            "length-3": (header(3, due)[:4], "DECODE_ERROR", "One byte too short for a type."),
            "length-16385": (header(16385, due)[:4], "FRAME_TOO_LARGE", "A stranger may not make anybody hold more."),
            "length-largest": (
                header(2**32 - 1, due)[:4],
                "FRAME_TOO_LARGE",
                "4 GiB announced: none may be allocated.",
            ),
            "type-unknown": (header(100, 20), "UNEXPECTED_MESSAGE", "The type is refused before its payload comes."),
            "type-high-byte": (header(100, due | 1 << 24), "UNEXPECTED_MESSAGE", "The type has four bytes."),
        }
        for name, (data, error, reason) in cases.items():
            why = Why(f"{role} in {state}: {name}", reason, HEADER_IDS, ("3.3",), ("FrameHeader",))
            yield _refusal(f"{role}-{state}-{name}", role, (*acts, ("receive", data)), error, why)


def _out_of_order(honest: Honest) -> Iterator[Refusal]:
    for (role, state), acts in ways(honest).items():
        for symbol, data in inputs(honest, role).items():
            if reaction(role, state, symbol) != "violation":
                continue
            early = role == "server" and state != "OPEN" and symbol == "data"  # there is no mode with early data
            why = Why(
                f"{role} in {state} gets {symbol}",
                "A good frame at the wrong time: whoever takes it can be led around a step of the handshake.",
                (*STATE_IDS, "HS-12", "TRADE-5") if early else STATE_IDS,
                ("2.3", "3.3") if state != "OPEN" else ("2.3", "3.4"),
                ("StateMachine",),
            )
            yield _refusal(f"{role}-{state}-{symbol}", role, (*acts, ("receive", data)), _error(state, data), why)
        if reaction(role, state, "end") == "violation":
            why = Why(
                f"{role} in {state}: end of stream",
                "The stream ends in the handshake.",
                ALERT_IDS,
                ("3.5",),
                ("Truncation",),
            )
            yield _refusal(f"{role}-{state}-end", role, (*acts, ("end", b"")), "TRUNCATED", why)
    assert set(inputs(honest, "client")) | {"end"} == set(WIRE_INPUTS)


def _error(state: str, data: bytes) -> str:
    """In OPEN a short frame is refused for its length, which comes before its type (SPEC 3.4)."""
    short = int.from_bytes(data[:4], "little") < 20
    return "DECODE_ERROR" if state == "OPEN" and short else "UNEXPECTED_MESSAGE"


def _alerts(honest: Honest) -> Iterator[Refusal]:
    for (role, state), acts in ways(honest).items():
        if not state.startswith("WAIT_"):
            continue
        cases = {
            "code-5": (b"\x08\x05", "PEER_ALERT", "The peer gave up; its code is reported and nothing is answered."),
            "code-unknown": (b"\x08\xff\x01", "PEER_ALERT", "A code of a later version is an alert all the same."),
            "code-0": (b"", "DECODE_ERROR", "An alert without a code is malformed."),
            "code-0-written": (b"\x08\x00", "DECODE_ERROR", "Not canonical, and no code."),
            "with-text": (b"\x08\x05\x12\x02hi", "DECODE_ERROR", "An alert carries no text: an unknown field."),
            "long-varint": (b"\x08\x85\x00", "DECODE_ERROR", "Not canonical."),
        }
        for name, (payload, error, reason) in cases.items():
            why = Why(f"{role} in {state}: alert, {name}", reason, ALERT_IDS, ("5.8", "2.3"), ("Alert",))
            yield _refusal(
                f"{role}-{state}-alert-{name}", role, (*acts, ("receive", frame("alert", payload))), error, why
            )


def _truncations(honest: Honest) -> Iterator[Refusal]:
    for (role, state), acts in ways(honest).items():
        whole = inputs(honest, role)[_due(state)]
        for name, size in {"in-length": 3, "in-type": 7, "in-payload": len(whole) - 1}.items():
            if state == "START" and name == "in-payload":
                continue  # no frame is due there: the header alone is refused
            reason = "Cut data must not pass for whole data."
            why = Why(f"{role} in {state}: the stream ends {name}", reason, ("REC-2",), ("3.5",), ("Truncation",))
            cut: tuple[Act, ...] = (("receive", whole[:size]), ("end", b""))
            yield _refusal(f"{role}-{state}-end-{name}", role, (*acts, *cut), "TRUNCATED", why)


def _due(state: str) -> str:
    return {
        "WAIT_CLIENT_INIT": "client_init",
        "WAIT_SERVER_INIT": "server_init",
        "WAIT_SERVER_FINISHED": "server_finished",
        "WAIT_CLIENT_FINISHED": "client_finished",
    }.get(state, "data")


def _records(honest: Honest) -> Iterator[Refusal]:
    """Bad records on a connection that a handshake has opened."""
    ids = ("REC-5", "REC-8")
    for role in ("client", "server"):
        tested: Role = "client" if role == "client" else "server"
        acts = ways(honest)[tested, "OPEN"]
        good = inputs(honest, tested)["data"]
        own = honest.client_record if tested == "client" else honest.server_record
        spoilt = good[:-1] + bytes([good[-1] ^ 1])
        cases: dict[str, tuple[tuple[Act, ...], str, str]] = {
            "bad-tag": ((("receive", spoilt),), "ModifiedFrame", "One bad tag is enough; no alert is sent."),
            "replay": (
                (("receive", good + good),),
                "Replay",
                "The first copy is delivered, the second ends the connection.",
            ),
            "reflected": ((("receive", own),), "Direction", "Its own record comes back."),
            "bad-after-send": (
                (("send", b"data"), ("receive", spoilt)),
                "ModifiedFrame",
                "Sending does not change what is received.",
            ),
        }
        for name, (more, flag, reason) in cases.items():
            why = Why(f"{tested} in OPEN: {name}", reason, ids, ("8.3", "2.3"), (flag,))
            yield _refusal(f"{tested}-OPEN-record-{name}", tested, (*acts, *more), "BAD_RECORD", why)
    handshake = ways(honest)["server", "WAIT_CLIENT_FINISHED"]
    finished = frame("client_finished", _wire.put(honest.client_finished, 1, bytes(32)))
    why = Why(
        "server: a bad ClientFinished and a good record in one segment",
        "Payload behind a wrong Finished is not delivered.",
        ("HS-9", "REC-5"),
        ("2.5", "5.6"),
        ("Finished",),
    )
    yield _refusal(
        "server-record-behind-bad-finished",
        "server",
        (*handshake, ("receive", finished + honest.client_record)),
        "BAD_FINISHED",
        why,
    )
