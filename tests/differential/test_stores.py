"""The stores of a process alone: one use of a secret, bounds of memory and cache, against the model or a plain list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import alts
from alts_model.stores import UsedSecrets

SECRETS = st.integers(0, 12).map(lambda number: bytes([number]) * 32)


@pytest.mark.req("RES-7")
@settings(max_examples=200)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(SECRETS, st.integers(1, 100), st.integers(0, 60)), max_size=40),
)
def test_memories_of_used_secrets_answer_alike(capacity: int, uses: list[tuple[bytes, int, int]]) -> None:
    """A clock that only goes on: full memories refuse, and forget only what is dead."""
    model: UsedSecrets[bytes] = UsedSecrets(capacity)
    memory = alts.UsedSecretsInMemory(capacity)
    now, until = 0, dict[bytes, int]()
    for secret, life, wait in uses:
        now += wait
        expires = until.setdefault(secret, now + life)  # a ticket has one life, however often it comes
        if expires <= now:
            continue  # such a ticket is refused before anybody asks
        assert memory.first_use(secret, expires, now) is model.mark(secret, expires, now)
        assert len(model) <= capacity


def ticket(number: int, identity: str, idr: int, expires: int) -> alts.HeldTicket:
    peer = alts.Peer(identity, alts.Category.WORKLOAD, "issuer", "", (1, 2), 0, bytes(32), bytes(32))
    session = alts.Session(bytes(32), peer, peer, "X25519_STATIC_SHA256", 0, 0)
    return alts.HeldTicket(bytes([idr]) * 16, 1, number.to_bytes(4, "big"), session, expires, alts.Role.SERVER)


@pytest.mark.req("RES-7", "RES-8")
@settings(max_examples=200)
@given(
    st.integers(1, 8),
    st.integers(1, 3),
    st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "take"]), st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 30)
        ),
        max_size=60,
    ),
)
def test_the_cache_is_bounded_and_gives_the_newest_living_ticket_once(
    capacity: int, per_peer: int, acts: list[tuple[str, str, int, int]]
) -> None:
    cache = alts.TicketCache(capacity, per_peer)
    put: dict[bytes, alts.HeldTicket] = {}
    gone: set[bytes] = set()
    for now, (act, identity, idr, life) in enumerate(acts):
        if act == "put":
            held = ticket(now, identity, idr, now + life)
            put[held.ticket] = held
            cache.put(held)
        else:
            found = cache.take((identity,), now)
            if found is not None:
                assert found.session.peer.identity == identity
                assert found.expires > now
                assert found.ticket not in gone, "a ticket comes out once"
                gone.add(found.ticket)
                newer = [one for name, one in put.items() if name > found.ticket and name not in gone]
                # of its own IDR: a newer one of another may have had to go
                alike = [one for one in newer if one.resumption_id == found.resumption_id]
                assert not [one for one in alike if one.session.peer.identity == identity and one.expires > now]
        assert len(cache) <= capacity
        counts = [
            sum(one.ticket not in gone for one in put.values() if one.session.peer.identity == name) for name in "abc"
        ]
        assert len(cache) <= sum(counts)
        assert len(cache) <= 3 * 2 * per_peer
