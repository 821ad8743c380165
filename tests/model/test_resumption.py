"""Resumption over bytes (SPEC.md 12): who resumes whom, what is checked, what is used once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_model import (
    HUMAN,
    HYBRID,
    KCI,
    MODE_CLIENT_TICKET,
    MODE_FULL,
    MODE_SERVER_TICKET,
    PFS,
    STATIC,
    WORKLOAD,
    Completed,
    ConcreteEndpoint,
    Payload,
    PolicyRule,
    UsedSecrets,
)
from alts_model.concrete import ticket_bytes
from alts_model.messages import IssuedTicket
from alts_model.primitives import aes_gcm_open, hkdf_expand, hkdf_extract, hmac_sha256
from alts_schema import handshake_pb2, ticket_pb2
from tests.model.edits import checked, issued, put
from tests.model.helpers import edited, split_frames
from tests.model.resuming import BACKEND, FRONTEND, OTHER, REALM, after_first, connect, failed, mode, process

NOW = REALM.now


@pytest.mark.req("RES-1", "RES-2", "RES-3", "RES-4", "RES-5", "HS-10", "TRADE-2")
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("cipher", [STATIC, PFS, KCI, HYBRID])
def test_modes_by_cipher_and_maker(cipher: str, early: bool) -> None:
    """Mode by who makes tickets and who holds them; forward secret servers make none unless told (12.4)."""
    by_server = cipher == STATIC or (early and cipher != KCI)
    full = cipher == KCI
    for client_makes, server_makes in ((True, True), (True, False), (False, True), (False, False)):
        one = process(FRONTEND, makes=client_makes)
        other = process(BACKEND, makes=server_makes, early=early)
        first = mode(one, other, cipher)
        expected = MODE_FULL
        if server_makes and by_server:
            expected = MODE_CLIENT_TICKET
        elif client_makes and not full:
            expected = MODE_SERVER_TICKET
        assert (first, mode(one, other, cipher), mode(one, other, cipher)) == (MODE_FULL, expected, expected)


@pytest.mark.req("RES-5", "CRED-3", "ISSUE-9")
def test_replicas_resume_what_they_never_saw() -> None:
    one, other = after_first()
    replica = process(BACKEND, holds=False)
    assert mode(one, replica) == MODE_CLIENT_TICKET
    one, other = after_first(PFS)
    replica = process(FRONTEND, holds=False)
    assert mode(replica, other, PFS) == MODE_SERVER_TICKET
    foreign = process(BACKEND)
    foreign.resumption = replace(foreign.resumption, keys=REALM.resumption_keys("prod/backend", cell="cell-2"))
    one, _ = after_first()
    assert mode(one, foreign) == MODE_FULL


@pytest.mark.req("RES-1", "RES-3", "RES-4", "RES-6")
@pytest.mark.parametrize("cipher", [STATIC, PFS, HYBRID])
def test_a_resumed_session_written_out_by_hand(cipher: str) -> None:
    """Ticket, secret and key material of 12.2 and 12.3 with nothing but hashlib, hmac and AES-GCM."""
    one, other = process(FRONTEND), process(BACKEND, early=True)
    first, second = one.client(handshake_ciphers=(cipher,)), other.server()
    connect(first, second)
    values = second.secrets.values
    secret = hmac_sha256(values["R"], b"openalts v1 server-made ticket")
    assert values["server_ticket_secret"] == first.secrets.values["server_ticket_secret"] == secret
    made = hmac_sha256(values["R"], b"openalts v1 client-made ticket")
    assert values["client_ticket_secret"] == first.secrets.values["client_ticket_secret"] == made != secret
    keys = REALM.resumption_keys("prod/backend")
    ticket = values["server_ticket"]
    salt, sealed = ticket[:32], ticket[32:]
    assert salt == second._local.party.randomness.ticket_salts[0] == values["server_ticket_salt"]
    key = hkdf_expand(hkdf_extract(salt, keys.keys[0][1]), b"openalts v1 ticket key", 32)
    aad = b"openalts v1 ticket\x00\x06server\x00\x0cprod/backend\x00\x10" + keys.resumption_id + bytes(7) + b"\x01\x01"
    assert (values["server_ticket_key"], values["server_ticket_aad"]) == (key, aad)
    plaintext = aes_gcm_open(key, bytes(12), sealed, aad)
    assert plaintext == values["server_ticket_plaintext"]
    contents = ticket_pb2.TicketContents.FromString(plaintext or b"")
    assert (contents.version, contents.secret, contents.handshake_cipher) == (1, secret, cipher)
    assert (contents.maker.identity, contents.holder.identity) == ("prod/backend", "prod/frontend")
    assert (contents.created, contents.full_handshake) == (NOW, NOW)
    assert contents.maker.handshake_revocation_id == BACKEND.revocation_ids[1]
    resumed, answer = one.client(handshake_ciphers=(cipher,)), other.server()
    assert connect(resumed, answer).mode == MODE_CLIENT_TICKET
    values = resumed.secrets.values
    assert values["secret"] == secret
    assert values["shared_secret"] == secret + values.get("ee", b"") + values.get("K", b"")
    assert "ss" not in values
    message = handshake_pb2.ServerInit.FromString(values["server_init"])
    assert (message.mode, message.certificate, message.HasField("ticket")) == (2, b"", False)
    assert values["server_ticket_secret"] == hmac_sha256(values["R"], b"openalts v1 server-made ticket") != secret


@pytest.mark.req("RES-7")
def test_a_ticket_is_sent_once_and_its_secret_used_once() -> None:
    one, other = after_first(makes=True)
    assert one.resumption.cache is not None
    client = one.client()
    wire = client.start()
    assert handshake_pb2.ClientInit.FromString(wire[8:]).HasField("ticket")
    assert len(one.resumption.cache) == 0
    assert not handshake_pb2.ClientInit.FromString(one.client().start()[8:]).HasField("ticket")
    # The same ClientInit at a replica with the same memory, and at one with its own.
    answers = [mode_of(other.server(), wire), mode_of(other.server(), wire), mode_of(process(BACKEND).server(), wire)]
    assert answers == [MODE_CLIENT_TICKET, MODE_SERVER_TICKET, MODE_CLIENT_TICKET]
    shared = UsedSecrets[bytes]()
    replicas = process(BACKEND, used=shared, holds=False), process(BACKEND, used=shared, holds=False)
    assert [mode_of(replica.server(), wire) for replica in replicas] == [MODE_CLIENT_TICKET, MODE_FULL]


def mode_of(server: ConcreteEndpoint, wire: bytes) -> int:
    return handshake_pb2.ServerInit.FromString(split_frames(server.receive(wire).output)[0][8:]).mode


@pytest.mark.req("RES-7")
def test_a_replay_is_answered_by_another_replica_and_never_completes() -> None:
    one, other = after_first(holds=True)
    client = one.client()
    wire = client.start()
    first, replayed = other.server(), process(BACKEND).server()
    flight, again = first.receive(wire).output, replayed.receive(wire).output
    finished = client.receive(flight).output
    assert isinstance(first.receive(finished).events[0], Completed)
    assert failed(replayed.receive(finished).events).name == "BAD_FINISHED"
    assert again != flight


@pytest.mark.req("RES-3", "RES-8")
def test_the_server_attaches_only_what_the_client_can_open() -> None:
    one, other = after_first(PFS)
    assert mode(process(FRONTEND, epochs=(2,)), other, PFS) == MODE_FULL
    assert mode(process(FRONTEND, makes=False), other, PFS) == MODE_FULL
    assert mode(process(FRONTEND, epochs=(1, 2)), other, PFS) == MODE_SERVER_TICKET
    assert one.resumption.used is not None


CHANGES: dict[str, dict[str, Any]] = {
    "peer revoked": {"revoked": frozenset(FRONTEND.revocation_ids[1:] + BACKEND.revocation_ids[1:])},
    "master revoked": {"revoked": frozenset(FRONTEND.revocation_ids[:1] + BACKEND.revocation_ids[:1])},
    "no answer": {"revoked": None},
    "policy": {"policy": (PolicyRule("realm/issuer", WORKLOAD, "test/**"),)},
    "authority": {"trust_anchors": {}},
    "target": {"target_identities": frozenset({"prod/other"})},
}


@pytest.mark.req("REVOKE-6", "POLICY-2", "RES-8", "TRUST-2")
@pytest.mark.parametrize("name", CHANGES)
def test_todays_data_decide(name: str) -> None:
    """The client sends nothing; a server falls back to FULL; a client that gets a ticket refuses it."""
    one, _ = after_first()
    wire = one.client(**CHANGES[name]).start()
    assert not handshake_pb2.ClientInit.FromString(wire[8:]).HasField("ticket")
    one, other = after_first()
    wire = one.client().start()
    server = other.server(**CHANGES[name])
    # FULL, and there the certificate is refused for its own reason.
    assert failed(server.receive(wire).events).name in (
        "CERTIFICATE_REVOKED",
        "POLICY_DENIED",
        "UNKNOWN_AUTHORITY",
        "WRONG_IDENTITY",
    )
    one, other = after_first(PFS)
    client = one.client(handshake_ciphers=(PFS,), **CHANGES[name])
    assert failed(client.receive(other.server().receive(client.start()).output).events).name == "TICKET_REFUSED"


@pytest.mark.req("TRUST-3", "RES-8")
def test_humans_resume_as_clients() -> None:
    human = REALM.issue("people/ann", category=HUMAN, handshake_ciphers=(STATIC,))
    one = process(FRONTEND, makes=False)
    one.identity = human
    other = process(BACKEND)
    assert [mode(one, other), mode(one, other)] == [MODE_FULL, MODE_CLIENT_TICKET]


@pytest.mark.req("RES-2", "RES-8")
def test_tickets_of_others_are_no_use() -> None:
    """Another identity of the holder, another identity of the maker, another role, another cipher, garbage: FULL."""
    one, other = after_first()
    thief = process(OTHER)
    thief.resumption = one.resumption
    assert not handshake_pb2.ClientInit.FromString(thief.client().start()[8:]).HasField("ticket")
    message = one.client().start()
    stolen = handshake_pb2.ClientInit.FromString(message[8:]).ticket
    assert mode_of(other.server(), edited(message, put(certificate=OTHER.credential.certificate))) == MODE_FULL
    assert mode_of(process(BACKEND, holds=False).server(handshake_ciphers=(PFS,)), pfs_with(stolen)) == MODE_FULL
    for change in (
        {"ticket": stolen.ticket[:-1]},
        {"ticket": b"x"},
        {"ticket": bytes(32)},
        {"key_epoch": 2},
        {"resumption_id": bytes(16)},
    ):
        changed = edited(message, with_ticket(**change))
        assert mode_of(process(BACKEND, holds=False).server(), changed) == MODE_FULL
    assert mode_of(process(BACKEND, holds=False).server(), message) == MODE_CLIENT_TICKET


def with_ticket(whole: Any = None, **fields: Any) -> Callable[[Any], None]:
    """An edit that puts a ticket there, or changes fields of the one that is there."""

    def edit(message: Any) -> None:
        if whole is not None:
            message.ticket.CopyFrom(whole)
        for name, value in fields.items():
            setattr(message.ticket, name, value)

    return edit


def pfs_with(ticket: Any) -> bytes:
    wire = process(FRONTEND, makes=False).client(handshake_ciphers=(PFS,)).start()
    return edited(wire, with_ticket(ticket))


@pytest.mark.req("RES-2", "RES-3")
def test_a_ticket_made_in_one_role_does_not_open_in_the_other() -> None:
    """One identity runs clients and servers under one key; the role is in the associated data (12.2)."""
    loop = process(BACKEND)
    connect(loop.client(), loop.server())
    cache = loop.resumption.cache
    assert cache is not None
    by_maker = {held.maker_role: held for held in cache.entries}
    assert by_maker["client"].secret != by_maker["server"].secret
    wire = process(BACKEND, holds=False).client().start()
    for maker, expected in (("client", MODE_FULL), ("server", MODE_CLIENT_TICKET)):
        held = by_maker[maker]  # type: ignore[index]  # the two roles
        presented = handshake_pb2.PresentedTicket(
            resumption_id=held.issued.resumption_id, key_epoch=1, ticket=held.issued.ticket
        )
        changed = edited(wire, with_ticket(presented))
        assert mode_of(process(BACKEND, holds=False).server(), changed) == expected


@pytest.mark.req("RES-2", "HS-6")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (put(mode=2), "ILLEGAL_PARAMETER"),
        (put(mode=1), "ILLEGAL_PARAMETER"),
        (put(ticket=None), "ILLEGAL_PARAMETER"),
        (put(certificate=BACKEND.credential.certificate), "ILLEGAL_PARAMETER"),
        (lambda message: setattr(message.ticket, "resumption_id", bytes(16)), "ILLEGAL_PARAMETER"),
        (lambda message: setattr(message.ticket, "key_epoch", 9), "TICKET_REFUSED"),
        (lambda message: setattr(message.ticket, "ticket", bytes(99)), "TICKET_REFUSED"),
        (put(handshake_cipher=KCI), "ILLEGAL_PARAMETER"),
        (put(handshake_cipher=STATIC, key_share=b""), "TICKET_REFUSED"),
    ],
)
def test_what_a_client_says_to_a_wrong_resumption(change: Callable[[Any], None], name: str) -> None:
    one, other = after_first(PFS)
    client = one.client(handshake_ciphers=(PFS, KCI, STATIC))
    server_init = split_frames(other.server().receive(client.start()).output)[0]
    assert handshake_pb2.ServerInit.FromString(server_init[8:]).mode == MODE_SERVER_TICKET
    assert checked(client, client.receive(edited(server_init, change))).name == name


@pytest.mark.req("RES-4", "HS-6")
def test_a_client_ticket_goes_with_its_cipher_alone() -> None:
    one, other = after_first()
    client = one.client(handshake_ciphers=(STATIC, PFS))
    server_init = split_frames(other.server().receive(client.start()).output)[0]
    wrong = edited(server_init, put(handshake_cipher=PFS, key_share=b"\x09" + bytes(31)))
    assert checked(client, client.receive(wrong)).name == "ILLEGAL_PARAMETER"


@pytest.mark.req("RES-2", "HS-9")
def test_a_resuming_server_wants_tickets_for_the_idr_of_client_init() -> None:
    """Only whoever has A can send such a ticket; here the test, which looks into the client."""
    for client_makes, cipher in ((True, STATIC), (False, STATIC), (True, KCI)):
        one, other = (
            process(FRONTEND, makes=client_makes).client(handshake_ciphers=(cipher,)),
            process(BACKEND).server(),
        )
        finished = one.receive(other.receive(one.start()).output).output
        ticket = IssuedTicket(bytes(16), 1, 60, b"t")
        A = one.secrets.values["A"]
        mac = hmac_sha256(A, b"openalts v1 client ticket" + ticket_bytes(ticket))
        changed = edited(edited(finished, issued()), put(ticket_authenticator=mac))
        assert checked(other, other.receive(changed)).name == "ILLEGAL_PARAMETER"


@pytest.mark.req("TRADE-2", "RES-4")
def test_kci_alone_says_nothing_of_tickets() -> None:
    one, _ = after_first()
    message = handshake_pb2.ClientInit.FromString(one.client(handshake_ciphers=(KCI,)).start()[8:])
    assert (message.resumption_id, list(message.ticket_key_epochs), message.HasField("ticket")) == (b"", [], False)
    message = handshake_pb2.ClientInit.FromString(one.client(handshake_ciphers=(KCI, PFS)).start()[8:])
    assert message.resumption_id == REALM.resumption_keys("prod/frontend").resumption_id
    assert (list(message.ticket_key_epochs), message.HasField("ticket")) == ([1], False)


@pytest.mark.req("RES-8")
def test_a_malformed_certificate_is_no_reason_to_resume() -> None:
    one, other = after_first()
    changed = edited(one.client().start(), put(certificate=b"x"))
    server = other.server()
    assert failed(server.receive(changed).events).name == "BAD_CERTIFICATE"


@pytest.mark.req("RES-1", "TRUST-5")
def test_the_application_gets_the_peer_of_the_first_handshake() -> None:
    one, other = after_first()
    client, server = one.client(), other.server()
    event = connect(client, server)
    assert (event.peer_identity, event.category, event.mode) == ("prod/frontend", WORKLOAD, MODE_CLIENT_TICKET)
    assert server.receive(client.send(b"x")).events == (Payload(b"x"),)
    assert client.receive(server.send(b"y")).events == (Payload(b"y"),)


@cache
def flight_with_a_ticket() -> bytes:
    """A ClientInit that resumes; made once, so that all examples are about one ticket."""
    wire = after_first()[0].client().start()
    assert mode_of(process(BACKEND, holds=False).server(), wire) == MODE_CLIENT_TICKET
    return wire


# What is drawn depends on nothing that was computed: every example can be had again, and drawing takes no time.
@pytest.mark.req("RES-2", "RES-8")
@settings(max_examples=60)
@given(st.integers(0, 4095), st.integers(1, 255), st.sampled_from(["changed", "cut", "doubled"]))
def test_mutated_tickets_never_resume(place: int, difference: int, how: str) -> None:
    """One byte of a ticket changed, cut or added: the handshake is FULL at the server, and no secret is used up."""
    wire = flight_with_a_ticket()
    ticket = handshake_pb2.ClientInit.FromString(wire[8:]).ticket.ticket
    at = place % len(ticket)
    byte = {
        "changed": bytes([(ticket[at] + difference) % 256]),
        "cut": b"",
        "doubled": ticket[at : at + 1] * 2,
    }[how]
    changed = ticket[:at] + byte + ticket[at + 1 :]
    mutated = edited(wire, lambda message: setattr(message.ticket, "ticket", changed))
    replica = process(BACKEND, holds=False)
    assert mode_of(replica.server(), mutated) == MODE_FULL
    assert replica.resumption.used is not None
    assert len(replica.resumption.used) == 0
