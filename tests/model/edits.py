"""Messages with one thing changed, and what an endpoint says to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alts_model import ERRORS, ConcreteEndpoint, Failed
from tests.model.helpers import alert_code, client, edited, failure, server, split_frames

PFS = "X25519_PFS_SHA256"
STATIC = "X25519_STATIC_SHA256"

Edit = Callable[[Any], None]


def put(**fields: object) -> Edit:
    """An edit that sets fields; a list replaces a repeated field."""

    def edit(message: Any) -> None:
        for name, value in fields.items():
            if isinstance(value, list):
                del getattr(message, name)[:]
                getattr(message, name).extend(value)
            elif value is None:
                message.ClearField(name)
            else:
                setattr(message, name, value)

    return edit


def at_server(edit: Edit, **changes: Any) -> Failed:
    """What a server says to an edited ClientInit; its alert must say the same."""
    other = server(**changes)
    return checked(other, other.receive(edited(client().start(), edit)))


def at_client(edit: Edit, which: int = 0, **changes: Any) -> Failed:
    """What a client says to an edited ServerInit (0) or ServerFinished (1)."""
    one = client(**changes)
    frames = split_frames(server().receive(one.start()).output)
    for part in frames[:which]:
        one.receive(part)
    return checked(one, one.receive(edited(frames[which], edit)))


def finished_at_server(edit: Edit) -> Failed:
    one, other = client(), server()
    finished = one.receive(other.receive(one.start()).output).output
    return checked(other, other.receive(edited(finished, edit)))


def checked(endpoint: ConcreteEndpoint, step: Any) -> Failed:
    failed = failure(step)
    assert endpoint.state == "FAILED"
    assert failed.code == ERRORS[failed.name].code
    assert failed.requirements == ERRORS[failed.name].requirements
    if ERRORS[failed.name].sent:
        assert alert_code(step.output) == failed.code
    return failed


def ticket(message: Any, **fields: Any) -> None:
    values = {"resumption_id": bytes(16), "key_epoch": 1, "ticket": b"t", **fields}
    for name, value in values.items():
        setattr(message.ticket, name, value)


def issued(**fields: Any) -> Edit:
    return lambda message: ticket(message, **{"lifetime_seconds": 60, **fields})


def add_share(cipher: str, share: bytes, times: int = 1) -> Edit:
    def edit(message: Any) -> None:
        for _ in range(times):
            message.key_shares.add(handshake_cipher=cipher, share=share)

    return edit


def both(*edits: Edit) -> Edit:
    def edit(message: Any) -> None:
        for one in edits:
            one(message)

    return edit


def no_min(message: Any) -> None:
    message.rpc_versions.ClearField("min")


def rpc(major: int) -> Edit:
    def edit(message: Any) -> None:
        message.rpc_versions.max.major = message.rpc_versions.min.major = major

    return edit
