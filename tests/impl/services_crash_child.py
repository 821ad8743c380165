"""A process to be killed: issues certificates on disk, and says which it gave out. See test_services_crash.py.

`python services_crash_child.py ROOT SEED STATEMENTS` does rounds of issuance in ROOT and writes a line to its standard
output for every certificate that it answered with. It kills itself (SIGKILL) after that many SQL statements; 0: never,
and waits to be killed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alts.services import RequestRefused
from tests.impl.services_world import NODE, World, peer
from tests.impl.test_services_cluster import CLIENT

if TYPE_CHECKING:
    from alts.services import Issuing


def give(kind: str, number: int, certificate: bytes) -> None:
    """Hand a certificate out: from here on somebody has it."""
    os.write(1, f"{kind} {number:016x} {certificate.hex()}\n".encode())


def recover(world: World) -> None:
    """What the services do when they start."""
    for pending in world.ca.issuing.unanswered():
        world.ca.complete(pending, world.sign(world.ca.issuing, pending))
    for issuing in (world.ca.issuing, world.cluster.issuing):
        world.report(issuing)


def one_round(world: World, seed: int, number: int) -> None:
    """Enrol a machine, rotate, schedule, report, publish."""
    agent = world.enrol(f"machines/n{seed}-{number}")
    master = agent.master()
    assert master is not None
    give("machine", master.body.revocation_id, master.certificate)
    world.rotate()
    world.refill(world.cluster.issuing)
    world.cluster.schedule(world.random(16), "prod/backend", NODE, CLIENT)
    response = world.cluster.assignments(peer(NODE), 0)
    assert response is not None
    for assignment in response.assignments:
        certificate = assignment.credential.certificate
        give("workload", revocation_id(world.cluster.issuing, certificate), certificate)
    for issuing in (world.ca.issuing, world.cluster.issuing):
        world.report(issuing)
    published = world.crl.publish(force=True)
    give("file", published.sequence, published.content)
    if number % 3 == 2:  # keep the number of running workloads bounded
        for assignment in response.assignments:
            world.cluster.stop(assignment.workload, CLIENT)


def revocation_id(issuing: Issuing, certificate: bytes) -> int:
    """Look up what ID a certificate has."""
    return next(number for number, known in issuing.certificates() if known == certificate)


def main() -> None:
    """Issue until killed."""
    root, seed, statements = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    left = [statements]

    def count(statement: str) -> None:
        del statement
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    world = World(root, seed=seed)
    if statements:
        for core in (world.signing, world.crl, world.ca, world.cluster):
            core._store._connection.set_trace_callback(count)
    recover(world)
    os.write(1, b"ready\n")
    for number in range(10_000):
        try:
            one_round(world, seed, number)
        except RequestRefused as refusal:
            os.write(1, f"refused {refusal}\n".encode())
            raise


if __name__ == "__main__":
    main()
