"""All four ciphers and resumption in lockstep: same keys, nonces, ephemerals, seeds, salts and clock, same bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_model.algebra import TICKET_LABELS
from alts_model.ciphers import HYBRID, KCI, PFS, STATIC
from alts_model.codec import encode_finished, frame
from alts_model.concrete import ConcreteAlgebra
from alts_model.messages import MODE_CLIENT_TICKET, MODE_FULL, MODE_SERVER_TICKET, Finished, IssuedTicket
from alts_schema import handshake_pb2
from alts_vectors._world import CLIENT, NOW, SERVER, WORKLOAD
from alts_vectors._x25519 import LOW_ORDER, encode
from tests.differential.lockstep import Seen, split_flight
from tests.differential.mutations import mutations
from tests.differential.sessions import (
    CIPHERS,
    Pair,
    chain,
    client_init_of,
    complete,
    mode_of,
    process,
    server_flight_of,
)
from tests.differential.wire import shape_of

RESUMABLE = (STATIC, PFS, HYBRID)
CLIENT_INIT = shape_of(handshake_pb2.ClientInit.DESCRIPTOR)
SERVER_INIT = shape_of(handshake_pb2.ServerInit.DESCRIPTOR)


def without_server_keys(cipher: str) -> Pair:
    """Only the client makes tickets."""
    return Pair((cipher,), server=process(SERVER))


def without_client_keys(cipher: str) -> Pair:
    """Only the server makes tickets."""
    return Pair((cipher,), client=process(CLIENT))


@pytest.mark.req("HS-1", "HS-5", "HS-10", "TRADE-2", "TRADE-4")
@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_full_handshake_with_each_cipher(cipher: str) -> None:
    pair = Pair((cipher,)) if cipher != KCI else Pair((cipher,), client=process(CLIENT))
    at_client, at_server = pair.connect()
    assert at_client[3] == at_server[3] == cipher
    assert mode_of(at_client) == MODE_FULL


@pytest.mark.req("TRADE-2", "RES-8")
def test_a_client_that_can_make_no_ticket_names_no_resumption_id() -> None:
    Pair((KCI,)).connect()


@pytest.mark.req("RES-4", "RES-8")
def test_one_cache_for_both_roles_of_a_process_presents_what_the_server_made() -> None:
    """The ticket was made by the peer in the role of a client: only attached to a ServerInit can it be of use."""
    pair = Pair((STATIC,))
    pair.connect()
    turned = Pair((STATIC,), client=pair.server, server=pair.client)
    turned.client_chain, turned.server_chain = pair.server_chain, pair.client_chain
    turned.connect(client={"target_identities": frozenset({CLIENT})})


@pytest.mark.req("RES-3", "RES-4", "RES-6", "HS-10")
@pytest.mark.parametrize("cipher", RESUMABLE)
def test_chains_of_sessions_in_both_modes(cipher: str) -> None:
    for pair, mode in (
        (without_client_keys(cipher), MODE_CLIENT_TICKET),
        (without_server_keys(cipher), MODE_SERVER_TICKET),
    ):
        modes = [mode_of(pair.connect()[0]) for _ in range(4)]
        assert modes == [MODE_FULL, mode, mode, mode]
    both = Pair((cipher,))
    assert [mode_of(both.connect()[0]) for _ in range(3)] == [MODE_FULL, MODE_CLIENT_TICKET, MODE_CLIENT_TICKET]


@pytest.mark.req("TRADE-2", "RES-8")
def test_the_cipher_against_impersonation_is_never_resumed() -> None:
    pair = Pair((KCI, STATIC))
    assert [mode_of(pair.connect()[0]) for _ in range(3)] == [MODE_FULL] * 3
    assert [mode_of(pair.connect(ciphers=(STATIC,))[0]) for _ in range(2)] == [MODE_FULL, MODE_CLIENT_TICKET]
    assert mode_of(pair.connect(ciphers=(KCI, STATIC))[0]) == MODE_FULL


@pytest.mark.req("RES-5", "CRED-3", "ISSUE-9")
@pytest.mark.parametrize("cipher", RESUMABLE)
def test_a_replica_resumes_what_it_never_saw(cipher: str) -> None:
    pair = without_client_keys(cipher)
    pair.connect()
    pair.server = process(SERVER, 1)
    assert mode_of(pair.connect()[0]) == MODE_CLIENT_TICKET
    pair = without_server_keys(cipher)
    pair.connect()
    pair.client = process(CLIENT, 1)
    assert mode_of(pair.connect()[0]) == MODE_SERVER_TICKET


@pytest.mark.req("HS-4", "TRUST-7", "HS-10")
@pytest.mark.parametrize("offered", [*itertools.permutations(CIPHERS, 2), *[*itertools.permutations(CIPHERS)][::5]])
def test_the_first_of_the_clients_ciphers_that_the_server_allows(offered: tuple[str, ...]) -> None:
    for allowed in ((*reversed(offered),), offered[1:], (offered[-1],)):
        pair = Pair(offered)
        talk = pair.talk(server={"handshake_ciphers": allowed})
        first = next(cipher for cipher in offered if cipher in allowed)
        assert complete(talk)[0][3] == first
        mode = mode_of(complete(pair.talk(server={"handshake_ciphers": allowed}))[0])
        assert mode == (MODE_FULL if first == KCI else MODE_CLIENT_TICKET)


@pytest.mark.req("RES-8", "RES-6")
@pytest.mark.parametrize(
    ("now", "mode"),
    [(86399, MODE_CLIENT_TICKET), (86400, MODE_FULL), (-300, MODE_CLIENT_TICKET), (-301, MODE_FULL)],
)
def test_the_life_of_a_ticket_at_its_maker(now: int, mode: int) -> None:
    """The holder's clock stands still: only the maker's moves."""
    pair = without_client_keys(STATIC)
    pair.connect()
    assert mode_of(pair.connect(server={"now": NOW + now})[0]) == mode


@pytest.mark.req("RES-8", "REVOKE-6", "POLICY-2", "TRUST-2", "TRUST-3")
@pytest.mark.parametrize(
    "changes",
    [
        {"revoked": None},
        {"revoked": frozenset({WORKLOAD << 56 | 0x101})},
        {"revoked": frozenset({WORKLOAD << 56 | 0x100})},
        {"revoked": frozenset({WORKLOAD << 56 | 0x201})},
        {"revoked": frozenset({WORKLOAD << 56 | 0x200})},
        {"policy": ()},
        {"policy": (("**", WORKLOAD, "other/**"),)},
        {"trust_anchors": ()},
        {"target_identities": frozenset({"test/somebody-else"})},
        {"now": NOW + 47 * 3600},
        {"now": NOW + 24 * 3600},
    ],
)
@pytest.mark.parametrize("mode", ["client_ticket", "server_ticket"])
@pytest.mark.parametrize("where", ["client", "server"])
def test_what_is_believed_today_decides(where: str, mode: str, changes: dict[str, object]) -> None:
    """Whatever comes of it - a full handshake, or none - comes of it at both, byte for byte."""
    pair = (without_client_keys if mode == "client_ticket" else without_server_keys)(STATIC)
    pair.connect()
    talk = pair.talk(client=changes) if where == "client" else pair.talk(server=changes)
    _, flight, _ = talk.handshake()
    resumed = talk.client.state == "OPEN" and server_flight_of(flight)[0].mode != MODE_FULL
    assert not resumed


@pytest.mark.req("RES-7")
@pytest.mark.parametrize("mode", ["client_ticket", "server_ticket"])
def test_a_ticket_works_once_in_a_process_and_a_replay_elsewhere_never_completes(mode: str) -> None:
    pair = (without_client_keys if mode == "client_ticket" else without_server_keys)(STATIC)
    pair.connect()
    talk = pair.talk()
    first, flight, finished = talk.handshake()
    if mode == "client_ticket":
        again, elsewhere = pair.talk().server, None
        answer, _ = again.receive(first)
        assert server_flight_of(answer)[0].mode == MODE_FULL
        pair.server = process(SERVER, 1)
        elsewhere = pair.talk().server
        answer, _ = elsewhere.receive(first)
        assert server_flight_of(answer)[0].mode == MODE_CLIENT_TICKET
        elsewhere.receive(finished)
        assert elsewhere.state == "FAILED"
    else:
        again = pair.talk().client
        again.start()
        assert again.receive(flight)[1][0][2] == "TICKET_REFUSED"
        pair.client = process(CLIENT, 1)
        other = pair.talk().client
        other.start()
        assert other.receive(flight)[1][0][2] == "BAD_FINISHED"


@pytest.mark.req("HS-1", "HS-10", "TRADE-2")
@pytest.mark.parametrize("cipher", [PFS, KCI, HYBRID])
@pytest.mark.parametrize("resumed", [False, True])
def test_ephemeral_keys_of_low_order(cipher: str, resumed: bool) -> None:
    for number in LOW_ORDER.values():
        pair = Pair((cipher,), client=process(CLIENT))
        if resumed:
            pair.connect()
        talk = pair.talk()
        first = client_init_of(talk.client.start())
        message = handshake_pb2.ClientInit.FromString(first.SerializeToString())
        message.key_shares[0].share = encode(number) + message.key_shares[0].share[32:]
        _, events = talk.server.receive(frame("client_init", message.SerializeToString(deterministic=True)))
        assert events[0][2] == "BAD_KEY_SHARE"
        flight, _ = pair.talk().server.receive(frame("client_init", first.SerializeToString(deterministic=True)))
        answer, _ = server_flight_of(flight)
        answer.key_share = encode(number) + answer.key_share[32:]
        _, events = talk.client.receive(frame("server_init", answer.SerializeToString(deterministic=True)))
        assert events[0][2] == "BAD_KEY_SHARE"


@pytest.mark.req("HS-10", "TRUST-7")
@settings(max_examples=25)
@given(st.data())
def test_spoilt_encapsulation_keys_and_ciphertexts(data: st.DataObject) -> None:
    pair = Pair((HYBRID,))
    talk = pair.talk()
    message = client_init_of(talk.client.start())
    share = bytearray(message.key_shares[0].share)
    at = data.draw(st.integers(32, len(share) - 1))
    where = data.draw(st.sampled_from(["key", "ciphertext"]))
    flip = data.draw(st.integers(1, 255))
    if where == "key":
        share[at] = data.draw(st.sampled_from([0xFF, share[at] ^ flip]))
        message.key_shares[0].share = bytes(share)
        flight, events = talk.server.receive(frame("client_init", message.SerializeToString(deterministic=True)))
        if events:
            assert events[0][2] == "BAD_KEY_SHARE"
            return
    else:
        flight, _ = talk.server.receive(frame("client_init", message.SerializeToString(deterministic=True)))
        init, finished = split_flight(flight)
        changed = bytearray(init)
        changed[-1 - data.draw(st.integers(0, 1087))] ^= flip
        flight = bytes(changed) + finished
    _, events = talk.client.receive(flight)
    assert talk.client.state in ("FAILED", "OPEN")
    assert where == "key" or events[0][2] == "BAD_FINISHED", "implicit rejection"


def fixed_pair(mode: str, cipher: str) -> Pair:
    """A pair that has met once."""
    pair = (without_client_keys if mode == "client_ticket" else without_server_keys)(cipher)
    pair.connect()
    return pair


@pytest.mark.req("RES-2", "RES-3", "RES-4", "RES-8", "HS-3")
@settings(max_examples=60)
@given(st.data())
def test_every_mutation_of_a_client_init_with_a_ticket_ends_alike(data: st.DataObject) -> None:
    pair = fixed_pair("client_ticket", data.draw(st.sampled_from(RESUMABLE)))
    talk = pair.talk()
    first = talk.client.start()
    _, changed = data.draw(st.sampled_from(list(mutations(first[8:], CLIENT_INIT, {}))))
    flight, events = talk.server.receive(frame("client_init", changed))
    if not events:
        finished, _ = talk.client.receive(flight)
        talk.server.receive(finished)
        assert talk.client.state == talk.server.state == "FAILED"


@pytest.mark.req("RES-2", "RES-3", "RES-8", "HS-6")
@settings(max_examples=60)
@given(st.data())
def test_every_mutation_of_a_server_init_with_a_ticket_ends_alike(data: st.DataObject) -> None:
    pair = fixed_pair("server_ticket", data.draw(st.sampled_from(RESUMABLE)))
    talk = pair.talk()
    flight, _ = talk.server.receive(talk.client.start())
    init, finished = split_flight(flight)
    _, changed = data.draw(st.sampled_from(list(mutations(init[8:], SERVER_INIT, {}))))
    talk.client.receive(frame("server_init", changed) + finished)
    assert talk.client.state == "FAILED"


@pytest.mark.req("RES-2", "RES-8", "CRED-3")
@settings(max_examples=80)
@given(st.data())
def test_a_changed_ticket_only_costs_the_resumption(data: st.DataObject) -> None:
    """Inside ClientInit: mode FULL in the same handshake. Inside ServerInit: TICKET_REFUSED. Never anything else."""
    mode = data.draw(st.sampled_from(["client_ticket", "server_ticket"]))
    talk = fixed_pair(mode, STATIC).talk()
    first = talk.client.start()
    if mode == "client_ticket":
        message: handshake_pb2.ClientInit | handshake_pb2.ServerInit = client_init_of(first)
    else:
        message = server_flight_of(talk.server.receive(first)[0])[0]
    kind = data.draw(st.sampled_from(["flip", "cut", "longer", "epoch", "id", "other"]))
    ticket = bytearray(message.ticket.ticket)
    if kind == "flip":
        ticket[data.draw(st.integers(0, len(ticket) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "cut":
        del ticket[data.draw(st.integers(1, len(ticket) - 1)) :]
    elif kind == "longer":
        ticket += data.draw(st.binary(min_size=1, max_size=9))
    elif kind == "epoch":
        message.ticket.key_epoch = data.draw(st.sampled_from([2, 2**64 - 1]))
    elif kind == "id":
        message.ticket.resumption_id = data.draw(st.binary(min_size=16, max_size=16))
    else:
        ticket[:] = data.draw(st.binary(min_size=1, max_size=400))
    message.ticket.ticket = bytes(ticket)
    raw = message.SerializeToString(deterministic=True)
    if mode == "client_ticket":
        flight, events = talk.server.receive(frame("client_init", raw))
        assert events == ()
        assert server_flight_of(flight)[0].mode == MODE_FULL
    else:
        _, events = talk.client.receive(frame("server_init", raw))
        assert events[0][2] == ("ILLEGAL_PARAMETER" if kind == "id" else "TICKET_REFUSED")


@pytest.mark.req("RES-2", "RES-3", "RES-4")
def test_a_ticket_in_the_hands_of_another_role_or_identity_is_none() -> None:
    """Client and server with one resumption key: what was made in one role is refused in the other."""
    pair = Pair((STATIC,))
    talk = pair.talk()
    _, _, finished = talk.handshake()
    made_by_client = handshake_pb2.ClientFinished.FromString(finished[8:]).ticket
    # The client's own ticket, presented to a server of the same identity with the same keys.
    turned = Pair((STATIC,), client=process(SERVER, 1), server=process(CLIENT, 1))
    turned.client_chain, turned.server_chain = pair.server_chain, pair.client_chain
    other = turned.talk(client={"target_identities": frozenset({CLIENT})})
    message = client_init_of(other.client.start())
    message.ticket.CopyFrom(
        handshake_pb2.PresentedTicket(
            resumption_id=made_by_client.resumption_id, key_epoch=made_by_client.key_epoch, ticket=made_by_client.ticket
        )
    )
    flight, _ = other.server.receive(frame("client_init", message.SerializeToString(deterministic=True)))
    assert server_flight_of(flight)[0].mode == MODE_FULL
    # Another client presents a ticket that is not its own.
    thief = without_client_keys(STATIC)
    thief.connect()
    stolen = client_init_of(thief.talk().client.start())
    victim = Pair((STATIC,), server=thief.server, client=process("test/third"))
    victim.client_chain = chain("test/third", 9)
    message = client_init_of(victim.talk().client.start())
    message.ticket.CopyFrom(stolen.ticket)
    flight, _ = victim.talk().server.receive(frame("client_init", message.SerializeToString(deterministic=True)))
    assert server_flight_of(flight)[0].mode == MODE_FULL


def answer_with_a_ticket(cipher: str, resumption_id: bytes | None) -> tuple[Seen, ...]:
    """What a server makes of a right ClientFinished with a ticket for an IDR; None: the one that the client named."""
    talk = Pair((cipher, STATIC) if cipher == KCI else (cipher,)).talk(server={"handshake_ciphers": (cipher,)})
    first = talk.client.start()
    flight, _ = talk.server.receive(first)
    talk.client.receive(flight)
    ticket = IssuedTicket(resumption_id or client_init_of(first).resumption_id, 1, 60, b"a ticket")
    values = talk.client.model.secrets.values
    authenticator = ConcreteAlgebra().ticket_authenticator(values["A"], TICKET_LABELS["client"], ticket)
    finished = encode_finished(Finished(values["client_authenticator"], authenticator, ticket))
    return talk.server.receive(frame("client_finished", finished))[1]


@pytest.mark.req("RES-2", "RES-3", "HS-9")
@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_ticket_for_an_idr_that_the_client_did_not_name_is_refused(cipher: str) -> None:
    assert answer_with_a_ticket(cipher, bytes(16))[0][2] == "ILLEGAL_PARAMETER"


@pytest.mark.req("RES-2", "RES-3", "HS-9", "TRADE-2")
@pytest.mark.parametrize("cipher", RESUMABLE)
def test_a_ticket_that_nobody_can_open_is_kept_all_the_same(cipher: str) -> None:
    assert answer_with_a_ticket(cipher, None)[0][0] == "completed"


@pytest.mark.req("TRADE-2", "HS-9")
def test_a_ticket_that_comes_with_the_cipher_against_impersonation_is_ignored() -> None:
    assert answer_with_a_ticket(KCI, None)[0][0] == "completed"
