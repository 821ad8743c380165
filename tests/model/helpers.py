"""A realm, pairs of endpoints in any state, and frames to feed them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from alts_model import ConcreteEndpoint, Configuration, Failed, Realm, Step
from alts_model.codec import frame
from alts_model.tables import Role
from alts_schema import handshake_pb2

REALM = Realm(bytes(range(32)))
FRONTEND = REALM.issue("prod/frontend")
BACKEND = REALM.issue("prod/backend")

CLIENT_INIT, SERVER_INIT, SERVER_FINISHED, CLIENT_FINISHED = 16, 17, 18, 19


def client(**changes: Any) -> ConcreteEndpoint:
    return ConcreteEndpoint("client", replace(client_configuration(), **changes))


def server(**changes: Any) -> ConcreteEndpoint:
    return ConcreteEndpoint("server", replace(server_configuration(), **changes))


def client_configuration() -> Configuration:
    return REALM.configuration(FRONTEND.credential, "client")


def server_configuration() -> Configuration:
    return REALM.configuration(BACKEND.credential, "server")


def split_frames(data: bytes) -> list[bytes]:
    """Whole frames, each with its header."""
    frames = []
    while data:
        size = 4 + int.from_bytes(data[:4], "little")
        frames.append(data[:size])
        data = data[size:]
    return frames


def open_pair(**changes: Any) -> tuple[ConcreteEndpoint, ConcreteEndpoint]:
    one, other = client(**changes), server(**changes)
    finished = one.receive(other.receive(one.start()).output).output
    other.receive(finished)
    assert one.state == other.state == "OPEN"
    return one, other


def edited(whole: bytes, edit: Callable[[Any], None]) -> bytes:
    """A frame whose message has been changed and encoded again."""
    kinds = {
        CLIENT_INIT: handshake_pb2.ClientInit,
        SERVER_INIT: handshake_pb2.ServerInit,
        SERVER_FINISHED: handshake_pb2.ServerFinished,
        CLIENT_FINISHED: handshake_pb2.ClientFinished,
    }
    names = {CLIENT_INIT: "client_init", SERVER_INIT: "server_init"}
    number = int.from_bytes(whole[4:8], "little")
    message = kinds[number]()
    message.ParseFromString(whole[8:])
    edit(message)
    name = names.get(number, "server_finished" if number == SERVER_FINISHED else "client_finished")
    return frame(name, message.SerializeToString(deterministic=True))


def failure(step: Step) -> Failed:
    event = step.events[-1]
    assert isinstance(event, Failed)
    return event


def alert_code(output: bytes) -> int:
    """The code of the one alert frame that was sent."""
    (whole,) = split_frames(output)
    assert int.from_bytes(whole[4:8], "little") == 31
    alert = handshake_pb2.Alert()
    alert.ParseFromString(whole[8:])
    return alert.code


def in_state(role: Role, state: str) -> ConcreteEndpoint:
    """A fresh endpoint that honest steps have brought to a state."""
    one, other = client(), server()
    wanted = one if role == "client" else other
    if state == "FAILED":
        wanted.receive(bytes(8))
    elif state == "CLOSED":
        wanted.close()
    if wanted.state == state:
        return wanted
    flight = other.receive(one.start()).output
    if wanted.state == state:
        return wanted
    for part in split_frames(flight):
        answer = one.receive(part).output
        if wanted.state == state:
            return wanted
    other.receive(answer)
    assert wanted.state == state
    return wanted


def honest_frame(input_name: str, *, padded: bool = False) -> bytes:
    """A well-formed frame for a wire input, taken from another honest handshake (or a planted alert)."""
    one, other = client(), server()
    first = one.start()
    second, third = split_frames(other.receive(first).output)
    fourth = one.receive(second + third).output
    other.receive(fourth)
    return {
        "client_init": first,
        "server_init": second,
        "server_finished": third,
        "client_finished": fourth,
        "alert": frame("alert", handshake_pb2.Alert(code=24).SerializeToString() + bytes(20 if padded else 0)),
        "data": other.send(b"data") if other.state == "OPEN" else b"",
        "unknown": (24).to_bytes(4, "little") + (7).to_bytes(4, "little") + bytes(20),
    }[input_name]
