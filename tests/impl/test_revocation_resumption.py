"""A new revocation file or policy file acts at the next handshake and at the next resumption, with no restart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from alts import ErrorCode, HandshakeCompleted
from alts.policy import PolicyStore
from alts.revocation import RevocationStore, compile_revocations
from tests.impl.pair import NOW, code
from tests.impl.policy_tools import KEY, PUBLIC, TEXT, signed
from tests.impl.test_resumption import World

if TYPE_CHECKING:
    from pathlib import Path

    from alts import Event, Peer

WORKLOADS = TEXT + '[[rule]]\nissuer = "cluster-master"\ncategory = "workload"\nidentity = "prod/*"\n'


def peer_of(events: list[Event]) -> Peer:
    completed = events[0]
    assert isinstance(completed, HandshakeCompleted), events
    return completed.peer


@pytest.mark.req("REVOKE-6", "POLICY-2")
def test_files_act_on_resumption(tmp_path: Path) -> None:
    for name in ("policy", "revocations"):
        (tmp_path / name).mkdir(mode=0o700)
    policies = PolicyStore(tmp_path / "policy", keys=[PUBLIC], deployment="production", clock=lambda: NOW)
    revocations = RevocationStore(tmp_path / "revocations", keys=[PUBLIC], clock=lambda: NOW)
    policies.offer(signed(WORKLOADS))
    revocations.offer(compile_revocations([], key=KEY, sequence=1, issued_at=NOW))

    world = World()
    world.server = dataclasses.replace(
        world.server,
        trust=dataclasses.replace(world.server.trust, policy=policies.policy, is_revoked=revocations.is_revoked),
    )
    assert [world.mode() for _ in range(3)] == ["full", "client_ticket", "client_ticket"]

    policies.offer(signed(TEXT, sequence=2))
    assert code(world.run()[1]) is ErrorCode.POLICY_DENIED
    policies.offer(signed(WORKLOADS, sequence=3))
    assert world.mode()
    assert world.mode() == "client_ticket"
    _, at_server = world.run()

    master = peer_of(at_server).revocation_ids[1]
    revocations.offer(compile_revocations([master], key=KEY, sequence=2, issued_at=NOW))
    assert code(world.run()[1]) is ErrorCode.CERTIFICATE_REVOKED
    revocations.offer(compile_revocations([], key=KEY, sequence=3, issued_at=NOW))
    assert world.mode()
