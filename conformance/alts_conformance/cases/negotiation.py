"""Negotiation, syntax and canonical encoding of the two Init messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alts_conformance import ENDED, CaseRun, Severity, case
from alts_conformance._duel import CLIENT_GOES_ON, SERVER_GOES_ON, against_client, against_server
from alts_conformance._frames import DATA, make_frame
from alts_conformance.cases.certificates import check_alert
from alts_schema.handshake_pb2 import ClientInit, Mode, PresentedTicket, RpcVersions, ServerInit, Version

SERVER: dict[str, Any] = {"subjects": ("server",), "needs": {"server": ("alts",)}}
CLIENT: dict[str, Any] = {"subjects": ("client",), "needs": {"client": ("alts",)}}
FAR = RpcVersions(max=Version(major=9, minor=1), min=Version(major=9))


def _fields(**changes: Any) -> Callable[[Any], bytes]:
    """Change fields of an Init message; None takes a field out."""

    def change(message: Any) -> bytes:
        for name, value in changes.items():
            message.ClearField(name)
            if isinstance(value, list):
                getattr(message, name).extend(value)
            elif value is not None and hasattr(value, "CopyFrom"):
                getattr(message, name).CopyFrom(value)
            elif value is not None:
                setattr(message, name, value)
        return bytes(message.SerializeToString(deterministic=True))

    return change


def _encoded(change: Callable[[bytes], bytes]) -> Callable[[Any], bytes]:
    return lambda message: change(message.SerializeToString(deterministic=True))


#: What is wrong with a ClientInit -> (change, alert code).
CLIENT_INITS: dict[str, tuple[Callable[[ClientInit], bytes], int]] = {
    "no_common_handshake_cipher": (_fields(handshake_ciphers=["X25519_FUTURE"]), 6),
    "no_common_record_protocol": (_fields(record_protocols=["ALTSRP_GMAC_128"]), 7),
    "no_common_application_protocol": (_fields(application_protocols=["smtp"]), 8),
    "no_common_rpc_version": (_fields(rpc_versions=FAR), 9),
    "other_version": (_fields(version=2), 4),
    "no_version": (_fields(version=None), 4),
    "short_nonce": (_fields(nonce=bytes(31)), 5),
    "no_nonce": (_fields(nonce=None), 5),
    "no_ciphers": (_fields(handshake_ciphers=None), 5),
    "cipher_twice": (_fields(handshake_ciphers=["X25519_STATIC_SHA256"] * 2), 5),
    "too_many_protocols": (_fields(record_protocols=[f"P{number}" for number in range(17)]), 5),
    "no_rpc_versions": (_fields(rpc_versions=None), 5),
    "small_frames": (_fields(max_frame_size=16383), 5),
    "large_frames": (_fields(max_frame_size=(1 << 20) + 1), 5),
    "no_certificate": (_fields(certificate=None), 10),
    "no_message": (_encoded(lambda raw: b""), 4),
    "unknown_field": (_encoded(lambda raw: raw + b"\xf8\x07\x01"), 1),
    "trailing_garbage": (_encoded(lambda raw: raw + b"\xff"), 1),
    "field_twice": (_encoded(lambda raw: raw[:2] + raw), 1),
    "long_varint": (_encoded(lambda raw: b"\x08\x81\x00" + raw[2:]), 1),
    "cut_short": (_encoded(lambda raw: raw[:-3]), 1),
}
#: What is wrong with a ServerInit -> (change, alert code).
SERVER_INITS: dict[str, tuple[Callable[[ServerInit], bytes], int]] = {
    "other_version": (_fields(version=2), 4),
    "cipher_not_offered": (_fields(handshake_cipher="X25519_PFS_SHA256"), 5),
    "record_protocol_not_offered": (_fields(record_protocol="ALTSRP_GMAC_128"), 5),
    "application_protocol_not_offered": (_fields(application_protocol="smtp"), 5),
    "no_common_rpc_version": (_fields(rpc_versions=FAR), 9),
    "large_frames": (_fields(max_frame_size=(1 << 20) + 1), 5),
    "no_mode": (_fields(mode=None), 5),
    "resumption_not_asked_for": (_fields(mode=Mode.CLIENT_TICKET), 5),
    "ticket": (_fields(ticket=PresentedTicket(resumption_id=bytes(16), key_epoch=1, ticket=b"x")), 5),
    "share_not_needed": (_fields(key_share=bytes(32)), 5),
    "no_certificate": (_fields(certificate=None), 5),
    "short_nonce": (_fields(nonce=bytes(31)), 5),
    "unknown_field": (_encoded(lambda raw: raw + b"\xf8\x07\x01"), 1),
    "trailing_garbage": (_encoded(lambda raw: raw + b"\xff"), 1),
}


@case(
    **SERVER,
    requirements=("HS-3", "HS-4", "TRUST-8", "REC-1"),
    severity=Severity.HIGH,
    why="What two ends read differently, or what one takes that it does not allow, is room for an attacker.",
    parameters={"flaw": tuple(CLIENT_INITS)},
)
async def server_refuses_a_client_init(run: CaseRun, flaw: str) -> None:
    """A ClientInit with nothing in common, broken syntax or another encoding is refused."""
    change, code = CLIENT_INITS[flaw]
    opponent, duel = await against_server(run)
    message = ClientInit.FromString(opponent.client_init()[8:])
    since = duel.mark()
    await opponent.send(make_frame(16, change(message)))
    await duel.must_end(since, f"server after a ClientInit: {flaw}", SERVER_GOES_ON)
    check_alert(run, duel, code)


@case(
    **CLIENT,
    requirements=("HS-6", "HS-8", "HS-4", "REC-1"),
    severity=Severity.HIGH,
    why="A client that takes a choice that it did not offer can be downgraded to it.",
    parameters={"flaw": tuple(SERVER_INITS)},
)
async def client_refuses_a_server_init(run: CaseRun, flaw: str) -> None:
    """A ServerInit with choices that were not offered, broken syntax or another encoding is refused."""
    change, code = SERVER_INITS[flaw]
    opponent, duel = await against_client(run)
    await opponent.receive_client_init()
    server_init, server_finished = opponent.flight
    since = duel.mark()
    await opponent.send(make_frame(17, change(ServerInit.FromString(server_init[8:]))) + server_finished)
    run.judge(await duel.reaction(since, telltale=CLIENT_GOES_ON), ENDED, f"client after a ServerInit: {flaw}")
    check_alert(run, duel, code)
    sent = {frame.type for frame in duel.recording.frames(duel.direction)}
    run.expect(not sent & {19, DATA}, f"the client sent frames of types {sorted(sent)}")
    await duel.nothing_delivered()


@case(
    **SERVER,
    requirements=("HS-4", "TRUST-7", "REC-1"),
    severity=Severity.HIGH,
    why="New suites can only be introduced step by step if old ends pass over names that they do not know.",
)
async def server_passes_over_names_that_it_does_not_know(run: CaseRun) -> None:
    """Unknown ciphers and protocols stand first in the client's lists; the server chooses the first that it allows."""
    opponent, duel = await against_server(run)
    await opponent.send(
        opponent.client_init_with(
            handshake_ciphers=["X25519_FUTURE", "X25519_STATIC_SHA256", "X25519_OTHER"],
            record_protocols=["ALTSRP_FUTURE", "ALTSRP_GCM_AES128_REKEY"],
            application_protocols=["future", "grpc"],
        )
    )
    await opponent.receive_flight()
    await opponent.send(opponent.client_finished)
    await opponent.honest_call()
    await duel.nothing_delivered(calls=1)


@case(
    **CLIENT,
    requirements=("HS-3", "HS-12", "HS-2"),
    severity=Severity.MEDIUM,
    why="ClientInit is all that a server knows before it spends effort: it must be complete, and carry no payload.",
)
async def client_init_is_complete(run: CaseRun) -> None:
    """The client's first message is one whole ClientInit in canonical encoding; nothing follows before an answer."""
    opponent, duel = await against_client(run)
    await opponent.receive_client_init()
    raw = opponent.client_init[8:]
    message = ClientInit.FromString(raw)
    run.expect(message.SerializeToString(deterministic=True) == raw, "the encoding is not canonical")
    run.expect(message.version == 1 and len(message.nonce) == 32, "version or nonce")
    run.expect(list(message.handshake_ciphers) == ["X25519_STATIC_SHA256"], f"{list(message.handshake_ciphers)}")
    run.expect(list(message.record_protocols) == ["ALTSRP_GCM_AES128_REKEY"], f"{list(message.record_protocols)}")
    run.expect("grpc" in message.application_protocols, f"{list(message.application_protocols)}")
    run.expect(16384 <= message.max_frame_size <= 1 << 20, f"max_frame_size is {message.max_frame_size}")
    more = await duel.recording.wait_for(lambda record: len(record.frames(duel.direction)) > 1, 0.4)
    run.expect(not more, "more than ClientInit was sent before the server answered")
    await opponent.send(b"".join(opponent.flight))
    await opponent.receive_client_finished()
    await opponent.answer_one_call()
    assert duel.call is not None
    run.check_call(await duel.call, "Unary", {"request_bytes": 100, "response_bytes": 100})
