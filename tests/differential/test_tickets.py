"""Who offers a ticket, and what may be inside one: model and implementation decide alike (SPEC 12.1, 12.2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_conformance.vector_target import TARGET
from alts_model.ciphers import STATIC
from alts_model.concrete import ConcreteAlgebra
from alts_model.messages import MODE_CLIENT_TICKET, MODE_FULL, MODE_SERVER_TICKET, PresentedTicket
from alts_model.resuming import Owner, Resumer
from alts_model.stores import ResumptionKeys
from alts_model.trust import Trust
from alts_schema import ticket_pb2
from alts_vectors._world import CLIENT, MACHINE, NOW, SERVER, WORKLOAD
from alts_vectors.target import ResumptionSettings
from tests.differential.sessions import IDRS, REALM, Pair, chain, client_init_of, complete, mode_of, process

NOBODY: dict[str, frozenset[str]] = {"target_identities": frozenset()}


@pytest.mark.req("RES-4", "HS-3", "TRUST-2")
def test_a_client_that_expects_nobody_in_particular_offers_no_ticket() -> None:
    pair = Pair((STATIC,), client=process(CLIENT))
    pair.connect()
    talk = pair.talk(client=NOBODY)
    assert not client_init_of(talk.client.start()).HasField("ticket")
    assert client_init_of(pair.talk().client.start()).HasField("ticket"), "the cache still has it"


@pytest.mark.req("RES-3", "RES-4")
def test_such_a_client_is_resumed_by_the_servers_attached_ticket_all_the_same() -> None:
    pair = Pair((STATIC,), server=process(SERVER))
    assert mode_of(complete(pair.talk(client=NOBODY))[0]) == MODE_FULL
    assert mode_of(complete(pair.talk(client=NOBODY))[0]) == MODE_SERVER_TICKET
    both = Pair((STATIC,))
    modes = [mode_of(complete(both.talk(client=NOBODY))[0]) for _ in range(2)]
    assert modes == [MODE_FULL, MODE_SERVER_TICKET]
    assert mode_of(both.connect()[0]) == MODE_CLIENT_TICKET


@pytest.mark.req("TRUST-3", "RES-3", "RES-4", "RES-8")
@pytest.mark.parametrize("mode", [MODE_CLIENT_TICKET, MODE_SERVER_TICKET])
@pytest.mark.parametrize("category", [WORKLOAD, MACHINE])
@pytest.mark.parametrize("end", ["client", "server"])
def test_an_end_whose_category_changed_resumes_nothing(mode: int, category: int, end: str) -> None:
    """Not as a maker and not as a holder: the peer would go on with the category of the full handshake."""
    pair = Pair((STATIC,))
    if mode == MODE_CLIENT_TICKET:
        pair.client = process(CLIENT)
    else:
        pair.server = process(SERVER)
    assert [mode_of(pair.connect()[0]) for _ in range(2)] == [MODE_FULL, mode]
    if end == "client":
        pair.client_chain = chain(CLIENT, 3, category)
    else:
        pair.server_chain = chain(SERVER, 4, category)
    assert mode_of(pair.connect()[0]) == (mode if category == WORKLOAD else MODE_FULL)


# What a replica of another build could have sealed.

SALT, KEY, EPOCH = REALM.derive("salt of a ticket"), REALM.derive("resumption key"), 3
PARTY = ticket_pb2.Party(
    category=3,  # type: ignore[arg-type]  # an enum's number
    identity=SERVER,
    issuer="test/cluster-master",
    not_after=NOW + 1000,
    handshake_revocation_id=3 << 56 | 7,
    master_revocation_id=3 << 56 | 8,
    certificate_digest=bytes(32),
    verification_key_id=bytes(range(32)),
)
HOLDER = ticket_pb2.Party()
HOLDER.CopyFrom(PARTY)
HOLDER.identity = CLIENT
PARTIES = st.one_of(
    st.just(PARTY),
    st.just(HOLDER),
    st.builds(
        ticket_pb2.Party,
        category=st.integers(0, 5),
        identity=st.sampled_from([SERVER, CLIENT, "", "/", "test/*"]),
        issuer=st.sampled_from(["", "test/cluster-master"]),
        not_after=st.integers(0, 2**64 - 1),
        certificate_digest=st.binary(max_size=33),
        verification_key_id=st.binary(max_size=33),
    ),
)
CONTENTS = st.builds(
    ticket_pb2.TicketContents,
    version=st.sampled_from([1, 1, 1, 0, 2]),
    secret=st.sampled_from([bytes(32), bytes(32), bytes(31), b"", bytes(33)]),
    maker=st.one_of(st.just(PARTY), PARTIES, st.none()),
    holder=st.one_of(st.just(HOLDER), PARTIES, st.none()),
    handshake_cipher=st.sampled_from([STATIC, STATIC, "X25519_PFS_SHA256", "X25519_KCI_SHA256", "", "OTHER"]),
    created=st.integers(0, 2**64 - 1),
    full_handshake=st.integers(0, 2**64 - 1),
)
ENCODINGS = st.sampled_from(["canonical", "canonical", "unknown field", "twice", "default value", "spoilt"])


def encoded(contents: ticket_pb2.TicketContents, how: str) -> bytes:
    """The same contents in another encoding, or, spoilt, none."""
    raw = contents.SerializeToString(deterministic=True)
    match how:
        case "unknown field":
            return raw + b"\xf8\x07\x01"
        case "twice":
            return raw + raw
        case "default value":
            return b"\x08\x00" + raw  # version 0, and then whatever comes
        case "spoilt":
            return raw[:-1]
        case _:
            return raw


def both_open(plaintext: bytes) -> tuple[object, object]:
    """What the model and the implementation read in a ticket of SERVER's making."""
    algebra = ConcreteAlgebra()
    aad = algebra.ticket_aad("server", SERVER, IDRS[SERVER], EPOCH)
    ticket = algebra.seal_ticket(SALT, algebra.ticket_key(SALT, KEY), plaintext, aad)
    resumer, keys = Resumer(algebra), ResumptionKeys(IDRS[SERVER], ((EPOCH, KEY),))
    owner = Owner("server", SERVER, 3, Trust[bytes]({}, (), frozenset(), NOW))
    found = resumer.open(owner, keys, PresentedTicket(IDRS[SERVER], EPOCH, ticket))
    if found is not None and found.session.server.identity != SERVER:
        found = None  # the model compares it in a step of its own
    text = TARGET.open_ticket(
        ResumptionSettings(IDRS[SERVER], ((EPOCH, KEY),)), "server", SERVER, IDRS[SERVER], EPOCH, ticket
    )
    session = None if found is None else found.session
    ends = () if session is None else (session.server, session.client)
    at_model = (
        found
        and session
        and (
            found.secret,
            *((end.category, end.identity, end.issuer, end.not_after, end.certificate_digest) for end in ends),
            session.handshake_cipher,
            found.created,
            session.full_handshake,
        )
    )
    parties = () if text is None else (text.maker, text.holder)
    at_implementation = text and (
        text.secret,
        *((one.category, one.identity, one.issuer, one.not_after, one.certificate_digest) for one in parties),
        text.handshake_cipher,
        text.created,
        text.full_handshake,
    )
    return at_model, at_implementation


@pytest.mark.req("RES-2", "RES-8")
@settings(max_examples=300)
@given(CONTENTS, ENCODINGS)
def test_sealed_contents_open_alike_whatever_is_in_them(contents: ticket_pb2.TicketContents, how: str) -> None:
    at_model, at_implementation = both_open(encoded(contents, how))
    assert at_model == at_implementation


@pytest.mark.req("RES-2")
@pytest.mark.parametrize("how", ["canonical", "unknown field", "twice", "default value"])
def test_the_encoding_of_what_a_replica_sealed_is_not_judged(how: str) -> None:
    contents = ticket_pb2.TicketContents(
        version=1, secret=bytes(32), maker=PARTY, holder=HOLDER, handshake_cipher=STATIC, created=1, full_handshake=1
    )
    at_model, at_implementation = both_open(encoded(contents, how))
    assert at_model is not None
    assert at_model == at_implementation
