"""Every error code that this version of the model can give, each provoked at least once through bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_model import ERRORS
from alts_model.codec import frame, frame_of_type
from alts_schema import handshake_pb2
from tests.model import resuming
from tests.model.edits import (
    PFS,
    STATIC,
    Edit,
    add_share,
    at_client,
    at_server,
    both,
    finished_at_server,
    issued,
    no_min,
    put,
    rpc,
    ticket,
)
from tests.model.helpers import client, edited, failure, in_state, open_pair, server, split_frames
from tests.model.resuming import connect, process
from tests.model.test_certificates import CERTIFICATES

UNREACHABLE = {
    "INSUFFICIENT_PROTECTION": "every implemented record protocol encrypts",
    "HANDSHAKE_TIMEOUT": "belongs to adapters: the model has no clock",
    "INTERNAL_ERROR": "the model has no faults of its own to report",
}

CLIENT_INIT_EDITS: list[tuple[str, Edit]] = [
    ("UNSUPPORTED_VERSION", put(version=2)),
    ("UNSUPPORTED_VERSION", put(version=0)),
    ("ILLEGAL_PARAMETER", put(nonce=bytes(31))),
    ("ILLEGAL_PARAMETER", put(nonce=b"")),
    ("ILLEGAL_PARAMETER", put(handshake_ciphers=[])),
    ("ILLEGAL_PARAMETER", put(record_protocols=["a", "a"])),
    ("ILLEGAL_PARAMETER", put(application_protocols=[str(number) for number in range(17)])),
    ("ILLEGAL_PARAMETER", put(application_protocols=["x" * 65])),
    ("ILLEGAL_PARAMETER", put(application_protocols=["gr pc"])),
    ("ILLEGAL_PARAMETER", put(application_protocols=["grpc", ""])),
    ("ILLEGAL_PARAMETER", add_share(STATIC, b"x")),
    ("ILLEGAL_PARAMETER", add_share("not offered", b"x")),
    ("ILLEGAL_PARAMETER", both(put(handshake_ciphers=[PFS, STATIC]), add_share(PFS, b"x", 2))),
    ("ILLEGAL_PARAMETER", both(put(handshake_ciphers=[PFS, STATIC]), add_share(PFS, b""))),
    ("ILLEGAL_PARAMETER", both(put(handshake_ciphers=[PFS, STATIC]), add_share(PFS, bytes(2049)))),
    ("ILLEGAL_PARAMETER", put(rpc_versions=None)),
    ("ILLEGAL_PARAMETER", no_min),
    ("ILLEGAL_PARAMETER", put(max_frame_size=16383)),
    ("ILLEGAL_PARAMETER", put(max_frame_size=1048577)),
    ("ILLEGAL_PARAMETER", put(resumption_id=bytes(15))),
    ("ILLEGAL_PARAMETER", put(ticket_key_epochs=[1])),
    ("ILLEGAL_PARAMETER", put(resumption_id=bytes(16), ticket_key_epochs=[2, 2])),
    ("ILLEGAL_PARAMETER", put(resumption_id=bytes(16), ticket_key_epochs=list(range(9)))),
    ("ILLEGAL_PARAMETER", lambda message: ticket(message, key_epoch=0)),
    ("ILLEGAL_PARAMETER", lambda message: ticket(message, ticket=bytes(4097))),
    ("NO_COMMON_HANDSHAKE_CIPHER", put(handshake_ciphers=["X25519_UNKNOWN"])),
    ("NO_COMMON_HANDSHAKE_CIPHER", both(put(handshake_ciphers=[PFS]), add_share(PFS, bytes(32)))),
    ("ILLEGAL_PARAMETER", put(handshake_ciphers=[PFS, STATIC])),
    ("ILLEGAL_PARAMETER", both(put(handshake_ciphers=[PFS, STATIC]), add_share(PFS, bytes(31)))),
    ("NO_COMMON_RECORD_PROTOCOL", put(record_protocols=["ALTSRP_GCM_AES128"])),
    ("NO_COMMON_APPLICATION_PROTOCOL", put(application_protocols=["http"])),
    ("NO_COMMON_RPC_VERSION", rpc(3)),
    ("BAD_CERTIFICATE", put(certificate=b"")),
    ("BAD_CERTIFICATE", put(certificate=b"\xff")),
    ("BAD_CERTIFICATE", put(certificate=bytes(8193))),
]


@pytest.mark.req("HS-3", "HS-4", "TRUST-8", "REC-1", "REC-3")
@pytest.mark.parametrize(("name", "edit"), CLIENT_INIT_EDITS)
def test_client_init(name: str, edit: Edit) -> None:
    failed = at_server(edit)
    assert (failed.name, failed.state) == (name, "WAIT_CLIENT_INIT")


@pytest.mark.req("HS-3", "RES-8")
@pytest.mark.parametrize(
    "edit",
    [
        both(put(handshake_ciphers=[PFS, STATIC]), add_share(PFS, bytes(32))),
        put(record_protocols=["ALTSRP_GCM_AES128", "ALTSRP_GCM_AES128_REKEY"]),
        put(resumption_id=bytes(16), ticket_key_epochs=[0, 7, 2**64 - 1]),
        lambda message: ticket(message),
    ],
)
def test_what_a_server_takes_though_it_has_no_use_for_it(edit: Edit) -> None:
    other = server()
    assert [part[4] for part in split_frames(other.receive(edited(client().start(), edit)).output)] == [17, 18]


SERVER_INIT_EDITS: list[tuple[str, Edit]] = [
    ("UNSUPPORTED_VERSION", put(version=7)),
    ("ILLEGAL_PARAMETER", put(nonce=bytes(33))),
    ("ILLEGAL_PARAMETER", put(mode=0)),
    ("ILLEGAL_PARAMETER", put(mode=2)),
    ("ILLEGAL_PARAMETER", put(mode=99)),
    ("ILLEGAL_PARAMETER", put(certificate=b"")),
    ("ILLEGAL_PARAMETER", lambda message: ticket(message)),
    ("ILLEGAL_PARAMETER", put(handshake_cipher=PFS)),
    ("ILLEGAL_PARAMETER", put(record_protocol="ALTSRP_GMAC_128")),
    ("ILLEGAL_PARAMETER", put(application_protocol="http")),
    ("ILLEGAL_PARAMETER", put(key_share=b"x")),
    ("ILLEGAL_PARAMETER", put(rpc_versions=None)),
    ("ILLEGAL_PARAMETER", put(max_frame_size=16383)),
    ("NO_COMMON_RPC_VERSION", rpc(1)),
    ("BAD_CERTIFICATE", put(certificate=b"\x0a\x00")),
]


@pytest.mark.req("HS-6", "HS-8", "TRUST-8")
@pytest.mark.parametrize(("name", "edit"), SERVER_INIT_EDITS)
def test_server_init(name: str, edit: Edit) -> None:
    failed = at_client(edit)
    assert (failed.name, failed.state) == (name, "WAIT_SERVER_INIT")


@pytest.mark.req("REC-3")
def test_a_server_may_not_raise_the_frame_size() -> None:
    assert at_client(put(max_frame_size=20001), max_frame_size=20000).name == "ILLEGAL_PARAMETER"


FINISHED_EDITS: list[tuple[str, Edit]] = [
    ("ILLEGAL_PARAMETER", put(authenticator=bytes(31))),
    ("ILLEGAL_PARAMETER", put(ticket_authenticator=b"")),
    ("ILLEGAL_PARAMETER", issued(lifetime_seconds=0)),
    ("ILLEGAL_PARAMETER", issued(lifetime_seconds=86401)),
    ("ILLEGAL_PARAMETER", issued(resumption_id=bytes(17))),
    ("BAD_FINISHED", put(authenticator=bytes(32))),
    ("BAD_FINISHED", put(authenticator=bytes(32), ticket_authenticator=bytes(32))),
    ("BAD_TICKET_AUTHENTICATOR", put(ticket_authenticator=bytes(32))),
    ("BAD_TICKET_AUTHENTICATOR", issued()),
]


@pytest.mark.req("HS-7", "HS-8", "HS-9", "RES-2")
@pytest.mark.parametrize(("name", "edit"), FINISHED_EDITS)
def test_both_finished(name: str, edit: Edit) -> None:
    assert (at_client(edit, 1).name, at_client(edit, 1).state) == (name, "WAIT_SERVER_FINISHED")
    assert (finished_at_server(edit).name, finished_at_server(edit).state) == (name, "WAIT_CLIENT_FINISHED")


@pytest.mark.req("HS-7", "HS-9")
def test_server_finished_is_no_client_finished() -> None:
    other = server()
    reflected = split_frames(other.receive(client().start()).output)[1]
    assert failure(other.receive(frame("client_finished", reflected[8:]))).name == "BAD_FINISHED"


@pytest.mark.req("HS-2", "TRUST-8")
@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"\x08",
        b"\x08\x81\x00",
        b"\x08\x01\x08\x01",
        b"\x78\x01",
        b"\x08\x01\x12\x00",
        b"\x08\x01\x22\x01\xff",
    ],
)
def test_bytes_that_are_no_canonical_message(payload: bytes) -> None:
    """Garbage, a cut varint, a long varint, a field twice, an unknown field alone (version 0), a default, bad UTF-8."""
    other = server()
    name = failure(other.receive(frame("client_init", payload))).name
    assert name == ("UNSUPPORTED_VERSION" if payload == b"\x78\x01" else "DECODE_ERROR")


@pytest.mark.req("HS-2")
@pytest.mark.parametrize("payload", [b"", b"\x08\x00", b"\x08\x81\x00", b"\x08", b"\x08\x01\x10\x01"])
def test_malformed_alerts_are_not_answered(payload: bytes) -> None:
    one = in_state("client", "WAIT_SERVER_INIT")
    step = one.receive(frame("alert", payload))
    assert (failure(step).name, step.output) == ("DECODE_ERROR", b"")


@pytest.mark.req("HS-2")
@given(st.integers(1, 2**32 - 1), st.sampled_from(["WAIT_SERVER_INIT", "WAIT_SERVER_FINISHED"]))
def test_alerts_of_any_code_are_reported(code: int, state: str) -> None:
    one = in_state("client", state)
    step = one.receive(frame("alert", handshake_pb2.Alert(code=code).SerializeToString()))
    assert step.output == b""
    assert (failure(step).name, failure(step).alert_code, failure(step).state) == ("PEER_ALERT", code, state)


def refused_ticket() -> str:
    """A client that does not know the epoch of the ticket which the server attaches."""
    one, other = process(resuming.FRONTEND), process(resuming.BACKEND, makes=False)
    connect(one.client(), other.server())
    resumed = one.client()
    first = split_frames(other.server().receive(resumed.start()).output)[0]
    return failure(resumed.receive(edited(first, lambda message: setattr(message.ticket, "key_epoch", 7)))).name


def test_every_code_is_provoked_or_named_as_unreachable() -> None:
    one, other = open_pair()
    other.jump(received=2**64)
    provoked = {name for name, *_ in (*CLIENT_INIT_EDITS, *SERVER_INIT_EDITS, *FINISHED_EDITS)}
    provoked |= {name for name, *_ in CERTIFICATES} | {"CATEGORY_REFUSED"}
    provoked.add(failure(server().receive(frame_of_type(6, b""))).name)
    provoked.add(failure(server().receive(bytes(4))).name)
    provoked.add(failure(server().receive(b"\xff" * 4)).name)
    provoked.add(failure(other.receive(one.send(b"x"))).name)
    provoked.add(failure(one.receive(frame_of_type(6, bytes(16)))).name)
    provoked.add(failure(server().end()).name)
    provoked.add(refused_ticket())
    alert = frame("alert", handshake_pb2.Alert(code=1).SerializeToString())
    provoked.add(failure(server().receive(alert)).name)
    assert provoked | set(UNREACHABLE) == set(ERRORS)
    assert not provoked & set(UNREACHABLE)
