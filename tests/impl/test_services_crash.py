"""`kill -9` at any moment: no certificate that anybody was given is lost, no revocation ID has two certificates."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alts.services._crl import FIRST_ID
from tests.impl import services_crash_child
from tests.impl.services_world import World

ROOT = Path(__file__).resolve().parents[2]
MASK = (1 << 56) - 1


class Given:
    """What processes that were killed had given out."""

    def __init__(self) -> None:
        self.certificates: dict[bytes, int] = {}
        self.files: dict[int, bytes] = {}
        self.lines = 0

    def take(self, output: bytes) -> None:
        """Read a child's output; the last line may have been cut."""
        for line in output.split(b"\n")[:-1]:
            words = line.decode().split(" ")
            assert words[0] != "refused", line
            if words[0] == "ready":
                continue
            self.lines += 1
            number, content = int(words[1], 16), bytes.fromhex(words[2])
            if words[0] == "file":
                assert self.files.setdefault(number, content) == content, "one number, two files"
            else:
                assert self.certificates.setdefault(content, number) == number

    def check(self, root: Path) -> None:
        """Compare with what the databases hold now."""
        world = World(root, seed=99)
        services_crash_child.recover(world)
        known = [*world.ca.issuing.certificates(), *world.cluster.issuing.certificates()]
        numbers = [number & MASK for number, _ in known]
        assert len(set(numbers)) == len(numbers), "an ID was given twice"
        assert all(number >= FIRST_ID for number in numbers)
        held = {certificate: number for number, certificate in known}
        for certificate, number in self.certificates.items():
            assert held.get(certificate) == number, "a certificate was lost"
        signed = {certificate for certificate, _ in world.signing.issued()}
        given = {number & MASK for number in self.certificates.values()}
        assert len(given) == len(self.certificates), "an ID was given to two certificates"
        masters = [certificate for number, certificate in known if number >> 56 == 2]
        assert set(masters) <= signed
        assert all(world.crl.mapping(number) for number, _ in known), "recovery reports everything"
        newest = world.crl.publication()
        assert not self.files or (newest is not None and newest.sequence >= max(self.files))
        world.close()


def child(root: Path, seed: int, statements: int) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(ROOT), *sys.path])
    command = [sys.executable, "-m", "tests.impl.services_crash_child", str(root), str(seed), str(statements)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.req("REVOKE-3", "REVOKE-4", "ISSUE-3", "ISSUE-7", "ISSUE-8")
def test_killed_between_any_two_statements(tmp_path: Path) -> None:
    chance, given = random.Random(21), Given()
    for attempt in range(12):
        # a start takes some; a round about two hundred
        with child(tmp_path, attempt, chance.randrange(40, 600)) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == -9, output
        given.take(output)
        given.check(tmp_path)
    assert given.lines > 10


@pytest.mark.req("REVOKE-3", "REVOKE-4", "ISSUE-3", "ISSUE-7", "ISSUE-8")
def test_killed_at_random_times(tmp_path: Path) -> None:
    chance, given = random.Random(22), Given()
    for attempt in range(8):
        process = child(tmp_path, 100 + attempt, 0)
        assert process.stdout is not None
        output = process.stdout.readline()  # it is at work
        time.sleep(chance.random() * 0.4)
        process.kill()
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == -9
        given.take(output + rest)
        given.check(tmp_path)
    assert given.lines > 10
