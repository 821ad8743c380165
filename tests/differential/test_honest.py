"""Configurations that fit and that do not: both do the same in every segmentation, and complete when they should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_vectors._world import HOUR, HUMAN, ISSUER, MACHINE, NOW, RESERVED_CIPHER, WORKLOAD, Chain
from alts_vectors.target import EndpointSettings, RoleName
from tests.differential.lockstep import WORLD, Conversation, Lockstep, Seen

PROTOCOLS = st.lists(st.sampled_from(["grpc", "h2", "x" * 64, "~", "!"]), min_size=1, max_size=4, unique=True)
VERSIONS = st.tuples(st.sampled_from([0, 1, 2, 2**32 - 1]), st.sampled_from([0, 1, 2, 2**32 - 1]))
NAMES = ("test/frontend", "test/backend", "test/a/b/c", "test/x.y_z-0@site")
CHAINS: list[Chain] = [
    WORLD.chain(name, category, number)
    for number, (name, category) in enumerate(
        (name, category) for name in NAMES for category in (HUMAN, MACHINE, WORKLOAD)
    )
]
CHAINS += [
    WORLD.chain("test/backend").but(handshake={"boundary": ""}),
    WORLD.chain("test/backend").but(handshake={"boundary": "site-2"}),
    WORLD.chain("test/m", MACHINE).but(master={"not_after": 0}, handshake={"not_after": 0}),
    WORLD.chain("test/backend").but(
        master={"handshake_ciphers": (RESERVED_CIPHER, "X25519_STATIC_SHA256")},
        handshake={"handshake_ciphers": ("X25519_STATIC_SHA256", RESERVED_CIPHER)},
    ),
]
CLOCKS = st.sampled_from(
    [NOW, NOW, NOW, NOW - HOUR, NOW - HOUR - 1, NOW + 19 * HOUR - 1, NOW + 19 * HOUR, NOW + 47 * HOUR]
)
POLICIES = st.sampled_from(
    [
        ((ISSUER, HUMAN, "**"), (ISSUER, MACHINE, "**"), (ISSUER, WORKLOAD, "**")),
        (("test/*", WORKLOAD, "test/*"), ("**", MACHINE, "test/**")),
        ((ISSUER, WORKLOAD, "test/backend"),),
        (),
    ]
)


@st.composite
def endpoints(draw: st.DrawFn, role: RoleName, easy: bool) -> EndpointSettings:
    """Settings; `easy` ones can mostly talk to each other."""
    chain = draw(st.sampled_from(CHAINS))
    versions = sorted([draw(VERSIONS), draw(VERSIONS)])
    changes: dict[str, Any] = {
        "application_protocols": (*draw(PROTOCOLS), "last") if easy else tuple(draw(PROTOCOLS)),
        "rpc_min": (0, 0) if easy else versions[0],
        "rpc_max": versions[1],
        "max_frame_size": draw(st.sampled_from([16384, 16385, 20000, 2**20 - 1, 2**20])),
        "nonce": draw(st.binary(min_size=32, max_size=32)),
    }
    if not easy:
        changes |= {
            "now": draw(CLOCKS),
            "policy": draw(POLICIES),
            "revoked": draw(st.sampled_from([frozenset(), frozenset(), frozenset({WORKLOAD << 56 | 0x500}), None])),
            "target_identities": draw(st.sets(st.sampled_from(NAMES), max_size=2).map(frozenset)),
        }
    return WORLD.settings(chain, role, **changes)


def talk(data: st.DataObject, conversation: Conversation, sizes: tuple[int, ...]) -> dict[str, list[Seen]]:
    """Both ends run to where they get; bytes are cut at will, and arrive late at will. All events by role."""
    ends: dict[str, Lockstep] = {"client": conversation.client, "server": conversation.server}
    other = {"client": "server", "server": "client"}
    queues = {"client": b"", "server": conversation.client.start()}
    events: dict[str, list[Seen]] = {"client": [], "server": []}
    sent: dict[str, bytes] = {"client": b"", "server": b""}
    for _ in range(data.draw(st.integers(0, 6), label="messages") + 12):
        role = data.draw(st.sampled_from(["client", "server"]))
        end = ends[role]
        if end.state == "OPEN" and data.draw(st.booleans()):
            size = data.draw(st.sampled_from(sizes))
            payload = bytes([size % 251]) * size
            queues[other[role]] += end.send(payload)
            sent[role] += payload
        size = data.draw(st.integers(0, len(queues[role])))
        piece, queues[role] = queues[role][:size], queues[role][size:]
        output, found = end.receive(piece)
        queues[other[role]] += output
        events[role] += found
    for _ in range(3):
        for role, end in ends.items():
            output, found = end.receive(queues[role])
            queues[role] = b""
            queues[other[role]] += output
            events[role] += found
    for role in ("client", "server"):
        delivered = b"".join(event[1] for event in events[other[role]] if event[0] == "payload")
        assert delivered == (sent[role] if ends[other[role]].state == "OPEN" else b"")
    for role in ("client", "server"):
        events[role] += ends[role].end()
    return events


@pytest.mark.req("HS-2", "HS-4", "HS-5", "HS-7", "HS-8", "HS-9", "REC-2", "REC-3", "REC-8")
@settings(max_examples=80)
@given(st.data())
def test_ends_that_should_agree_do(data: st.DataObject) -> None:
    client, server = data.draw(endpoints("client", True)), data.draw(endpoints("server", True))
    events = talk(data, Conversation(client, server), (0, 1, 17, 300, 16384 - 24, 16384 - 23))
    kinds = {role: [event[0] for event in found] for role, found in events.items()}
    failure = next((event[2] for event in events["client"] if event[0] == "failed"), None)
    if failure is None:
        assert kinds["client"][0] == kinds["server"][0] == "completed"
        assert kinds["client"][-1] == kinds["server"][-1] == "closed"
        assert events["client"][0][3:] == events["server"][0][3:], "choices and transcript"
    else:  # the only thing that cannot be right with these settings
        assert failure == "CATEGORY_REFUSED"


@pytest.mark.req("TRUST-1", "TRUST-2", "POLICY-3", "REVOKE-1", "REVOKE-6", "HS-4")
@settings(max_examples=200)
@given(st.data())
def test_any_two_ends_react_alike(data: st.DataObject) -> None:
    client, server = data.draw(endpoints("client", False)), data.draw(endpoints("server", False))
    talk(data, Conversation(client, server), (0, 1, 17))


@pytest.mark.req("HS-7", "REC-2")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100])
def test_every_segmentation_means_the_same(size: int) -> None:
    whole = Conversation(WORLD.client(), WORLD.server())
    flights = whole.handshake()
    cut = Conversation(WORLD.client(), WORLD.server())
    cut.client.start()
    found = []
    for end, flight in ((cut.server, flights[0]), (cut.client, flights[1]), (cut.server, flights[2])):
        pieces = [end.receive(flight[at : at + size])[0] for at in range(0, len(flight), size)]
        found.append(b"".join(pieces))
    assert found == [flights[1], flights[2], b""]
    assert cut.client.state == cut.server.state == "OPEN"
