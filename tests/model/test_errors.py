"""Every error code that this version of the model can give, each provoked at least once through bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_model import (
    ERRORS,
    HUMAN,
    MACHINE,
    WORKLOAD,
    ConcreteEndpoint,
    Credential,
    Failed,
    PolicyRule,
    build_handshake,
    build_master,
)
from alts_model.codec import frame, frame_of_type
from alts_model.primitives import ed25519_public, sha256, x25519_public
from alts_schema import handshake_pb2
from tests.model.helpers import (
    BACKEND,
    FRONTEND,
    REALM,
    alert_code,
    client,
    edited,
    failure,
    in_state,
    open_pair,
    server,
    split_frames,
)

UNREACHABLE = {
    "INSUFFICIENT_PROTECTION": "every implemented record protocol encrypts",
    "TICKET_REFUSED": "reserved for resumption",
    "HANDSHAKE_TIMEOUT": "belongs to adapters: the model has no clock",
    "INTERNAL_ERROR": "the model has no faults of its own to report",
}

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


PFS = "X25519_PFS_SHA256"
STATIC = "X25519_STATIC_SHA256"

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
    ("NO_COMMON_HANDSHAKE_CIPHER", put(handshake_ciphers=[PFS])),
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


MASTER_SEED = REALM.derive("another master")
PRIVATE = REALM.derive("another key")


def certificate(
    *,
    category: int = WORKLOAD,
    identity: str = "prod/frontend",
    public: bytes | None = None,
    master: dict[str, Any] | None = None,
    **fields: Any,
) -> bytes:
    """A certificate with whatever is wrong about it."""
    ids = {"revocation_id": category << 56 | 0xABC}
    known = {
        "category": category,
        "identity": identity,
        "issuer": REALM.issuer,
        "public_key": ed25519_public(MASTER_SEED),
        "workload_identities": ("prod/*",) if category == WORKLOAD else (),
        **ids,
    }
    made = build_master(REALM.signing_seed, **{**known, **(master or {})})
    point = x25519_public(PRIVATE) if public is None else public
    given = {"category": category, "identity": identity, "x25519_public_key": point, **ids, **fields}
    return build_handshake(MASTER_SEED, made, **given)


TOO_MANY = tuple(f"prod/{number}" for number in range(17))
REVOKED = {"revoked": frozenset({WORKLOAD << 56 | 0xABC})}
NOW = REALM.now

CERTIFICATES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("BAD_CERTIFICATE", certificate(version=2), {}),
    ("BAD_CERTIFICATE", certificate(master={"version": 0}), {}),
    ("BAD_CERTIFICATE", certificate(identity="prod//frontend"), {}),
    ("BAD_CERTIFICATE", certificate(identity="prod/.."), {}),
    ("BAD_CERTIFICATE", certificate(identity="dev/frontend"), {}),
    ("BAD_CERTIFICATE", certificate(category=7), {}),
    ("BAD_CERTIFICATE", certificate(category=MACHINE, master={"category": WORKLOAD}), {}),
    ("BAD_CERTIFICATE", certificate(category=MACHINE, master={"identity": "prod/other"}), {}),
    ("BAD_CERTIFICATE", certificate(category=MACHINE, master={"workload_identities": ("**",)}), {}),
    ("BAD_CERTIFICATE", certificate(category=HUMAN), {}),
    ("BAD_CERTIFICATE", certificate(category=HUMAN, not_after=NOW + 1, master={"not_after": 72001 + NOW}), {}),
    ("BAD_CERTIFICATE", certificate(revocation_id=1), {}),
    ("BAD_CERTIFICATE", certificate(master={"revocation_id": 1}), {}),
    ("BAD_CERTIFICATE", certificate(master={"issuer": ""}), {}),
    ("BAD_CERTIFICATE", certificate(master={"scheme": 2}), {}),
    ("BAD_CERTIFICATE", certificate(master={"public_key": bytes(31)}), {}),
    ("BAD_CERTIFICATE", certificate(master={"signature": bytes(63)}), {}),
    ("BAD_CERTIFICATE", certificate(master={"verification_key_id": bytes(31)}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": ()}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": TOO_MANY}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": ("prod/*", "a**")}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": ("**/frontend",)}), {}),
    ("BAD_CERTIFICATE", certificate(signature=bytes(65)), {}),
    ("BAD_CERTIFICATE", certificate(master_digest=bytes(32)), {}),
    ("BAD_CERTIFICATE", certificate(public=bytes(31)), {}),
    ("BAD_CERTIFICATE", certificate(boundary="a/b"), {}),
    ("BAD_CERTIFICATE", certificate(handshake_ciphers=(STATIC, PFS)), {}),
    ("BAD_CERTIFICATE", certificate(handshake_ciphers=()), {}),
    ("BAD_CERTIFICATE", certificate(not_before=5, not_after=4), {}),
    ("BAD_CERTIFICATE", certificate(master={"not_before": 1}), {}),
    ("BAD_CERTIFICATE", certificate(master={"not_after": NOW + 9}), {}),
    ("BAD_CERTIFICATE", certificate(not_after=NOW + 9, master={"not_after": NOW + 8}), {}),
    ("BAD_CERTIFICATE", certificate() + b"\x20\x01", {}),
    ("UNKNOWN_AUTHORITY", certificate(master={"verification_key_id": bytes(32)}), {}),
    ("UNKNOWN_AUTHORITY", certificate(), {"trust_anchors": {}}),
    ("CERTIFICATE_EXPIRED", certificate(not_after=NOW), {}),
    ("CERTIFICATE_EXPIRED", certificate(not_before=NOW + 1), {}),
    ("CERTIFICATE_EXPIRED", certificate(not_after=NOW - 2, master={"not_after": NOW - 1}), {}),
    ("BAD_SIGNATURE", certificate(signature=bytes(64)), {}),
    ("BAD_SIGNATURE", certificate(master={"signature": bytes(64)}), {}),
    ("BAD_SIGNATURE", certificate(master={"public_key": ed25519_public(bytes(32))}), {}),
    ("POLICY_DENIED", certificate(master={"issuer": "people/mallory"}), {}),
    ("POLICY_DENIED", certificate(), {"policy": ()}),
    ("POLICY_DENIED", certificate(), {"policy": (PolicyRule(REALM.issuer, MACHINE, "**"),)}),
    ("POLICY_DENIED", certificate(), {"policy": (PolicyRule(REALM.issuer, WORKLOAD, "prod/*/*"),)}),
    ("CERTIFICATE_REVOKED", certificate(revocation_id=WORKLOAD << 56), REVOKED),
    ("CERTIFICATE_REVOKED", certificate(master={"revocation_id": WORKLOAD << 56}), REVOKED),
    ("CERTIFICATE_REVOKED", certificate(), {"revoked": None}),
    ("WRONG_IDENTITY", certificate(), {"target_identities": frozenset({"prod/backend"})}),
    ("ILLEGAL_PARAMETER", certificate(master={"handshake_ciphers": (PFS,)}, handshake_ciphers=(PFS,)), {}),
    ("BAD_KEY_SHARE", certificate(public=bytes(32)), {}),
    ("BAD_KEY_SHARE", certificate(public=b"\x01" + bytes(31)), {}),
]


@pytest.mark.req(
    "CRED-1",
    "CRED-2",
    "CRED-4",
    "REVOKE-1",
    "REVOKE-3",
    "REVOKE-6",
    "POLICY-1",
    "POLICY-2",
    "POLICY-3",
    "TRUST-2",
    "HS-1",
)
@pytest.mark.parametrize(("name", "wrong", "changes"), CERTIFICATES)
def test_certificates_at_both_ends(name: str, wrong: bytes, changes: dict[str, Any]) -> None:
    assert at_server(put(certificate=wrong), **changes).name == name
    assert at_client(put(certificate=wrong), **changes).name == name


@pytest.mark.req("CRED-1", "CRED-2", "REVOKE-2", "POLICY-1")
@pytest.mark.parametrize(
    ("good", "changes"),
    [
        (certificate(), {}),
        (certificate(category=MACHINE), {}),
        (certificate(not_before=NOW, not_after=NOW + 1, master={"not_after": NOW + 1}), {}),
        (certificate(boundary="dc1"), {"policy": (PolicyRule("**", WORKLOAD, "*/frontend"),)}),
        (certificate(identity="a/b/c/d/e/f/g/h", master={"workload_identities": ("a/**",)}), {}),
    ],
)
def test_certificates_that_are_right(good: bytes, changes: dict[str, Any]) -> None:
    other = server(**changes)
    other.receive(edited(client().start(), put(certificate=good)))
    assert other.state == "WAIT_CLIENT_FINISHED"


@pytest.mark.req("TRUST-3", "ISSUE-5")
def test_humans_are_clients_only() -> None:
    times: dict[str, Any] = {"not_before": NOW, "not_after": NOW + 72000}
    human = certificate(category=HUMAN, master=dict(times), **times)
    credential = Credential(human, PRIVATE)
    other = server()
    other.receive(client(credential=credential).start())
    assert other.state == "WAIT_CLIENT_FINISHED"
    assert at_client(put(certificate=human)).name == "CATEGORY_REFUSED"
    elsewhere = certificate(category=HUMAN, master=dict(times), **times, revocation_id=HUMAN << 56 | 1)
    assert at_server(put(certificate=elsewhere)).name == "BAD_CERTIFICATE"


@pytest.mark.req("CRED-4", "POLICY-3", "REVOKE-6", "TRUST-2")
def test_the_first_step_that_fails_decides() -> None:
    """SPEC.md 4.9: a certificate with everything wrong is told apart step by step."""
    everything: dict[str, Any] = {
        "trust_anchors": {},
        "now": 2 * NOW,
        "policy": (),
        "revoked": None,
        "target_identities": frozenset({"prod/else"}),
    }
    right = {"trust_anchors": REALM.trust_anchors, "now": NOW, "policy": REALM.policy, "revoked": frozenset[int]()}
    found = []
    times: dict[str, Any] = {"not_before": NOW, "not_after": NOW + 5}
    forged = certificate(**times, master=dict(times), signature=bytes(64))
    genuine = certificate(**times, master=dict(times))
    for name in ("trust_anchors", "now", "signature", "policy", "revoked"):
        wrong = genuine if name in ("policy", "revoked") else forged
        found.append(at_client(put(certificate=wrong), **everything).name)
        if name == "signature":
            continue
        everything[name] = right[name]
    found.append(at_client(put(certificate=genuine), **everything).name)
    assert found == [
        "UNKNOWN_AUTHORITY",
        "CERTIFICATE_EXPIRED",
        "BAD_SIGNATURE",
        "POLICY_DENIED",
        "CERTIFICATE_REVOKED",
        "WRONG_IDENTITY",
    ]


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
    alert = frame("alert", handshake_pb2.Alert(code=1).SerializeToString())
    provoked.add(failure(server().receive(alert)).name)
    assert provoked | set(UNREACHABLE) == set(ERRORS)
    assert not provoked & set(UNREACHABLE)


@pytest.mark.req("CRED-4")
def test_ids_of_verification_keys_are_digests() -> None:
    (key_id,) = REALM.trust_anchors
    assert key_id == sha256(REALM.trust_anchors[key_id])
    assert replace(FRONTEND) != BACKEND
