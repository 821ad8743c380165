"""How long tickets, chains and memories live (SPEC.md 12.5, 12.7), and the stores themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_model import (
    MODE_CLIENT_TICKET,
    MODE_FULL,
    STATIC,
    ConfigurationError,
    Held,
    Resumption,
    ResumptionKeys,
    TicketCache,
    UsedSecrets,
)
from alts_model.messages import IssuedTicket
from alts_schema import ticket_pb2
from tests.model.resuming import BACKEND, FRONTEND, REALM, after_first, connect, mode, process

NOW = REALM.now


@pytest.mark.req("RES-6")
def test_chains_go_on_and_end() -> None:
    """R, R', R'': new secrets each time, the same ends and the same full handshake, until its life is over."""
    one, other = after_first()
    seen = set[bytes]()
    for hours in range(1, 46):
        step = {"now": NOW + hours * 3600}
        client, server = one.client(**step), other.server(**step)
        assert connect(client, server).mode == MODE_CLIENT_TICKET
        contents = ticket_pb2.TicketContents.FromString(server.secrets.values["server_ticket_plaintext"])
        assert contents.full_handshake == NOW
        seen.add(contents.secret)
    assert len(seen) == 45
    (last,) = one.resumption.cache.entries if one.resumption.cache else ()
    # The certificates end 47 hours from now, before the chain does.
    assert last.expires == NOW + 47 * 3600
    assert last.issued.lifetime_seconds == 2 * 3600


@pytest.mark.req("RES-2", "RES-8")
def test_lives() -> None:
    """A day for a ticket; its maker and its holder agree; a replica's clock may be 300 s ahead, not more."""
    one, _ = after_first()
    assert mode(one, process(BACKEND), now=NOW + 86399) == MODE_CLIENT_TICKET
    one, _ = after_first()
    assert mode(one, process(BACKEND), now=NOW + 86400) == MODE_FULL
    for behind, expected in ((300, MODE_CLIENT_TICKET), (301, MODE_FULL)):
        one, _ = after_first()
        assert connect(one.client(), process(BACKEND).server(now=NOW - behind)).mode == expected
    one, _ = after_first()
    assert connect(one.client(), process(BACKEND).server(now=NOW + 86400)).mode == MODE_FULL
    short = REALM.issue("prod/frontend", handshake_ciphers=(STATIC,), lifetime=3600 + 600)
    brief = process(FRONTEND)
    brief.identity = short
    connect(brief.client(), process(BACKEND).server())
    assert brief.resumption.cache is not None
    assert brief.resumption.cache.entries[0].expires == NOW + 600


@pytest.mark.req("RES-7")
def test_a_full_memory_refuses_and_forgets_nothing() -> None:
    used = UsedSecrets[bytes](capacity=1)
    one, other = process(FRONTEND, makes=False), process(BACKEND, used=used)
    for expected in (MODE_FULL, MODE_CLIENT_TICKET, MODE_FULL, MODE_FULL):
        assert mode(one, other) == expected
    assert mode(one, other, now=NOW + 86400) == MODE_FULL
    assert mode(one, other, now=NOW + 86400) == MODE_CLIENT_TICKET
    assert len(used) == 1


@pytest.mark.req("RES-7")
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60), st.integers(0, 80)), max_size=40), st.integers(1, 4))
def test_no_secret_is_used_twice_whatever_the_clock_does(calls: list[tuple[int, int, int]], capacity: int) -> None:
    memory, used = UsedSecrets[int](capacity), set[tuple[int, int]]()
    for number, expires, now in calls:
        # The life of a ticket is over by `expires`; a maker does not ask then.
        secret = number * 100 + expires
        if now < expires and memory.mark(secret, expires, now):
            assert (secret, expires) not in used
            used.add((secret, expires))
        assert len(memory) <= capacity


@pytest.mark.req("RES-2")
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(1, 20)), max_size=30), st.integers(0, 4))
def test_caches_are_bounded_and_take_the_newest_live_ticket(calls: list[tuple[bool, int, int]], capacity: int) -> None:
    cache = TicketCache[int](capacity)
    kept: list[Held[int]] = []
    for keep, number, time in calls:
        if keep:
            held = Held("server", IssuedTicket(bytes(16), 1, 1, number), number, None, time)  # type: ignore[arg-type]  # no session needed
            cache.keep(held)
            kept = [*kept, held][-capacity:] if capacity else []
        else:
            kept = [held for held in kept if time < held.expires]
            expected = next((held for held in reversed(kept) if held.secret == number), None)
            assert cache.take(lambda held, number=number: held.secret == number, time) == expected  # type: ignore[misc]  # bound now
            if expected is not None:
                kept.reverse()
                kept.remove(expected)
                kept.reverse()
        assert len(cache) <= capacity
        assert str(len(cache)) in repr(cache)


@pytest.mark.req("CRED-3", "ISSUE-8", "RES-8")
def test_rotation_of_resumption_keys_overlaps() -> None:
    one, _ = after_first()
    assert mode(one, process(BACKEND, epochs=(1, 2))) == MODE_CLIENT_TICKET
    # That made a ticket of epoch 2; a replica that has only the old key cannot open it, one that has the new can.
    for epochs, expected in (((2, 3), MODE_CLIENT_TICKET), ((3,), MODE_CLIENT_TICKET), ((5,), MODE_FULL)):
        assert mode(one, process(BACKEND, epochs=epochs, holds=False)) == expected
    keys = ResumptionKeys(bytes(16), ((1, bytes(32)), (5, bytes(32))), sealing=1)
    assert (keys.epoch, keys.epochs) == (1, (1, 5))
    many = ResumptionKeys(bytes(16), tuple((number, bytes(32)) for number in range(12, 0, -1)))
    assert (many.epoch, many.epochs) == (12, tuple(range(5, 13)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Resumption(keys=REALM.resumption_keys("x")),
        lambda: ResumptionKeys(bytes(15), ((1, bytes(32)),)),
        lambda: ResumptionKeys(bytes(16), ()),
        lambda: ResumptionKeys(bytes(16), ((0, bytes(32)),)),
        lambda: ResumptionKeys(bytes(16), ((1, bytes(32)), (1, bytes(32)))),
        lambda: ResumptionKeys(bytes(16), ((1, bytes(32)),), sealing=2),
        lambda: process(FRONTEND).client(
            resumption=Resumption(ResumptionKeys(bytes(16), ((1, bytes(31)),)), None, UsedSecrets())
        ),
    ],
)
def test_unsound_resumption_is_the_callers_error(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_nothing_printed_holds_a_ticket_secret() -> None:
    one, other = after_first()
    texts = [repr(process_.configuration()) for process_ in (one, other)] + [repr(one.resumption)]
    assert one.resumption.cache is not None
    texts += [repr(held) for held in one.resumption.cache.entries]
    for secret in (
        *(held.secret for held in one.resumption.cache.entries),
        REALM.resumption_keys("prod/frontend").keys[0][1],
    ):
        assert not any(repr(secret)[2:-1] in text or secret.hex() in text for text in texts)


@pytest.mark.req("RES-7")
def test_a_clock_that_goes_back_revives_nothing() -> None:
    memory = UsedSecrets[str]()
    assert memory.mark("old", 10, 0)
    assert memory.mark("new", 99, 50)
    assert memory.used == {"new"}
    assert not memory.mark("old", 10, 5)
    assert memory.mark("other", 60, 5)


@pytest.mark.req("RES-6", "REVOKE-2")
def test_a_chain_ends_two_days_after_its_full_handshake() -> None:
    one, other = process(FRONTEND), process(BACKEND)
    one.identity = REALM.issue("prod/frontend", handshake_ciphers=(STATIC,), lifetime=0)
    other.identity = REALM.issue("prod/backend", handshake_ciphers=(STATIC,), lifetime=0)
    modes = []
    for hours in (0, 20, 40, 47, 48):
        step = {"now": NOW + hours * 3600, "handshake_ciphers": (STATIC,)}
        modes.append(connect(one.client(**step), other.server(**step)).mode)
    assert modes == [MODE_FULL, *[MODE_CLIENT_TICKET] * 3, MODE_FULL]


@pytest.mark.req("RES-2")
def test_a_holder_heeds_the_lifetime_that_came_with_a_ticket() -> None:
    one, other = process(FRONTEND), process(BACKEND)
    other.identity = REALM.issue("prod/backend", handshake_ciphers=(STATIC,), lifetime=3600 + 6000)
    connect(one.client(), other.server(now=NOW + 1000, handshake_ciphers=(STATIC,)))
    assert one.resumption.cache is not None
    (held,) = one.resumption.cache.entries
    assert (held.issued.lifetime_seconds, held.expires) == (5000, NOW + 5000)
