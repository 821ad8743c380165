"""A cluster master, model and implementation in lockstep: rotations, starts and stops by a clock that also jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alts import Category
from alts.services import RequestRefused, open_bundle
from alts_model.issuance import ClusterModel, Declined
from tests.impl.services_world import NODE, NOW, OPERATOR, World, peer

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT = peer(OPERATOR, Category.HUMAN)
IDENTITIES = ("prod/a", "prod/b")
HOUR, DAY = 3600, 86400
PAUSES = (1, 60, 299, 301, HOUR, 20 * HOUR, DAY, 2 * DAY - 1, 2 * DAY, 4 * DAY, 30 * DAY)


class Cluster(RuleBasedStateMachine):
    """What is due, what is running with which validity and which keys, and what is revoked: always the same."""

    def __init__(self) -> None:
        super().__init__()
        self.world, self.model = World(), ClusterModel()
        self.running: list[str] = []
        self.started = 0
        self.numbers: dict[str, list[int]] = {}

    @property
    def now(self) -> int:
        return int(self.world.now)

    @rule(pause=st.sampled_from(PAUSES), back=st.sampled_from([False, False, False, True]))
    def wait(self, pause: int, back: bool) -> None:
        """The clock goes on, or jumps; never to before the beginning."""
        self.world.now = max(NOW, self.world.now - pause) if back else self.world.now + pause

    @rule(forced=st.booleans())
    def look(self, forced: bool) -> None:
        """What is due is done; or an operator wants it."""
        if forced or self.model.due(self.now):
            self.world.rotate()
            self.model.rotate(self.now)

    @rule(identity=st.sampled_from(IDENTITIES))
    def start(self, identity: str) -> None:
        """A workload, if there is a base master in force."""
        self.started += 1
        name = f"{self.started:032x}"
        self.world.refill(self.world.cluster.issuing)
        statuses = [
            _status(lambda: self.world.cluster.schedule(bytes.fromhex(name), identity, NODE, CLIENT)),
            _status(lambda: self.model.schedule(name, identity, self.now)),
        ]
        assert statuses[0] == statuses[1]
        if statuses[0] == "OK":
            self.running.append(name)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        """One of them."""
        name = data.draw(st.sampled_from(self.running))
        self.running.remove(name)
        self.world.cluster.stop(name, CLIENT)
        self.model.stop(name, self.now)

    @invariant()
    def everything_is_alike(self) -> None:
        """Also which certificates the CRL service is told to revoke."""
        assert self.world.cluster.rotation_due == self.model.due(self.now)
        response = self.world.cluster.assignments(peer(NODE), 0)
        assert response is not None
        found = {}
        for assignment in response.assignments:
            credential, keys = open_bundle(assignment.credential)
            assert keys is not None
            body = credential.parsed.body
            found[assignment.workload] = (body.identity, body.not_before, body.not_after, keys.epochs)
            had = self.numbers.setdefault(assignment.workload, [])
            if credential.peer.revocation_ids[0] not in had:
                had.append(credential.peer.revocation_ids[0])
        expected = {
            name: (who, begin, end, [epoch for epoch, _ in self.model.keys[who]])
            for name, (who, begin, end) in self.model.workloads.items()
        }
        assert found == expected
        self.world.report(self.world.cluster.issuing)
        revoked = {row[0] for row in self.world.crl._store.rows("SELECT revocation_id FROM revoked")}
        assert revoked == {self.numbers[name][number] for name, number in self.model.revoked}

    def teardown(self) -> None:
        """Close what is open."""
        self.world.close()


def _status(act: Callable[[], object]) -> str:
    try:
        act()
    except RequestRefused as refusal:
        return refusal.status.name
    except Declined as declined:
        return declined.status
    return "OK"


@pytest.mark.req("ISSUE-7", "ISSUE-8", "ISSUE-9", "CRED-6", "REVOKE-2", "REVOKE-5")
@pytest.mark.timeout(300)
class TestCluster(Cluster.TestCase):  # type: ignore[misc, valid-type]  # made by Hypothesis
    """New steps in every run, unless the profile says otherwise."""

    settings = settings(max_examples=40, stateful_step_count=40)
