"""Revocation files: the set that goes in comes out, in few bytes, and nothing else is ever loaded (SPEC 13.3)."""

from __future__ import annotations

import hashlib
import math
import random
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from alts import Category, ConfigurationError, ErrorCode, Realm, Trust, UsageError
from alts._signed_file import HEADER_SIZE, seal
from alts.policy import (
    FileBadSignature,
    FileConflict,
    FileDamaged,
    FileNotSigned,
    FileOlder,
    FileTruncated,
    FileUnknownKey,
    Freshness,
    Kind,
    SignedFileRefused,
)
from alts.revocation import RevocationCompiler, RevocationStore, compile_revocations, open_revocations
from tests.impl.pair import Pair, code
from tests.impl.policy_tools import KEY, NOW, OTHER_KEY, PUBLIC, signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HUMAN, MACHINE, WORKLOAD = (int(category) << 56 for category in Category)
LAST = (4 << 56) - 1
NEAR = st.builds(lambda base, offset: base + offset, st.sampled_from([HUMAN, MACHINE, WORKLOAD]), st.integers(0, 600))
IDS = st.sets(NEAR | st.integers(HUMAN, LAST) | st.sampled_from([HUMAN, LAST]), max_size=60)


def crl(ids: Any, *, sequence: int = 1, issued_at: int = NOW, key: Any = KEY) -> bytes:
    return compile_revocations(ids, key=key, sequence=sequence, issued_at=issued_at)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.mkdir(mode=0o700)
    return path


def store(directory: Path, now: float = NOW, **more: Any) -> RevocationStore:
    options: dict[str, Any] = {"keys": [PUBLIC], "clock": lambda: now} | more
    return RevocationStore(directory, **options)


@pytest.mark.req("REVOKE-3", "REVOKE-7")
@given(ids=IDS)
def test_the_set_that_goes_in_comes_out(ids: set[int]) -> None:
    data = crl(ids)
    header, loaded = open_revocations(data, [PUBLIC])
    assert set(loaded) == ids
    assert header.counts == tuple(sum(number >> 56 == category for number in ids) for category in Category)
    assert data == crl(sorted(ids, reverse=True)) == crl(BitMap64(ids))


@pytest.mark.req("REVOKE-6")
@given(ids=IDS, others=st.sets(NEAR, max_size=60))
def test_answers_are_exact(tmp_path_factory: pytest.TempPathFactory, ids: set[int], others: set[int]) -> None:
    directory = tmp_path_factory.mktemp("store", numbered=True)
    directory.chmod(0o700)
    machine = store(directory)
    machine.offer(crl(ids))
    for number in ids | others | {number + 1 for number in ids if number < LAST}:
        assert machine.is_revoked(number) is (number in ids)


def by_hand(data: bytes) -> list[int]:
    """A second reading of SPEC 13.3, without the set library."""
    assert data[:12] == b"\x89ALTSREV" + struct.pack(">I", 1)
    total = sum(struct.unpack(">QQQ", data[60:84]))
    assert data[92:124] == hashlib.sha256(data[188:]).digest()
    assert int.from_bytes(data[84:92], "big") == len(data) - 188
    KEY.public_key().verify(data[124:188], b"openalts v1 revocation file\0" + data[:124])
    planes, position = [], 188
    for _ in range(8):
        size = int.from_bytes(data[position : position + 4], "big")
        planes.append(zlib.decompress(data[position + 4 : position + 4 + size]))
        position += 4 + size
    assert position == len(data)
    assert {len(plane) for plane in planes} == {total}
    ids, last = [], 0
    for index in range(total):
        last += sum(plane[index] << 8 * k for k, plane in enumerate(planes))
        ids.append(last)
    return ids


@pytest.mark.req("REVOKE-7")
@given(ids=IDS)
def test_the_bytes_are_those_of_the_specification(ids: set[int]) -> None:
    assert by_hand(crl(ids)) == sorted(ids)


@pytest.mark.parametrize("ids", [[0], [HUMAN - 1], [LAST + 1], [2**64 - 1], [2**64], [-1], ["x"], [None], [1.5]])
def test_what_is_no_revocation_id_is_misuse(ids: list[Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        crl(ids)
    compiler = RevocationCompiler(tmp_path / "crl", key=KEY, clock=lambda: NOW)
    with pytest.raises(UsageError):
        compiler.publish([HUMAN, *ids])
    assert not (tmp_path / "crl").exists()


@pytest.mark.req("REVOKE-7")
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_a_file_is_near_the_entropy_bound(share: float) -> None:
    issued = 1_000_000
    ids = random.Random(1).sample(range(WORKLOAD, WORKLOAD + issued), round(issued * share))
    bound = issued * -(share * math.log2(share) + (1 - share) * math.log2(1 - share)) / 8
    assert len(crl(ids)) < 1.25 * bound


@pytest.mark.req("REVOKE-7")
def test_whole_ranges_cost_next_to_nothing() -> None:
    data = crl(BitMap64(range(MACHINE, MACHINE + 1_000_000)))
    assert len(data) < 20_000
    assert len(open_revocations(data, [PUBLIC])[1]) == 1_000_000


def plane(content: bytes) -> bytes:
    return len(zlib.compress(content)).to_bytes(4, "big") + zlib.compress(content)


def planes(*gaps: int) -> list[bytes]:
    return [plane(bytes(gap >> 8 * k & 255 for gap in gaps)) for k in range(8)]


def sealed(body: bytes, counts: tuple[int, int, int]) -> bytes:
    return seal(Kind.REVOCATIONS, body, counts=counts, sequence=9, issued_at=NOW, key=KEY)


GOOD = crl([HUMAN, HUMAN + 5], sequence=9)
REFUSED: dict[str, tuple[bytes, type[SignedFileRefused]]] = {
    "nothing": (b"", FileNotSigned),
    "the bare set": (BitMap64([HUMAN]).serialize(), FileNotSigned),
    "a policy file": (signed(sequence=9), FileNotSigned),
    "unsigned": (GOOD[:124] + bytes(64) + GOOD[HEADER_SIZE:], FileBadSignature),
    "wrongly signed": (GOOD[:124] + KEY.sign(GOOD[:124]) + GOOD[HEADER_SIZE:], FileBadSignature),
    "a key that is not pinned": (crl([HUMAN], sequence=9, key=OTHER_KEY), FileUnknownKey),
    "truncated": (GOOD[:-1], FileTruncated),
    "truncated to the header": (GOOD[:HEADER_SIZE], FileTruncated),
    "a byte too many": (GOOD + b"\0", FileDamaged),
    "another body": (GOOD[:-1] + b"\0", FileDamaged),
    "older": (crl([HUMAN], sequence=2), FileOlder),
    "the same number, other bytes": (crl([HUMAN], sequence=3), FileConflict),
    "signed, but no planes": (sealed(b"", (0, 0, 0)), FileDamaged),
    "signed, but seven planes": (sealed(b"".join(planes(HUMAN)[:7]), (1, 0, 0)), FileDamaged),
    "signed, but nine planes": (sealed(b"".join([*planes(HUMAN), plane(b"a")]), (1, 0, 0)), FileDamaged),
    "signed, but no zlib": (sealed(b"\0\0\0\1x" * 8, (1, 0, 0)), FileDamaged),
    "signed, but a plane too short": (sealed(b"".join(planes(HUMAN)), (2, 0, 0)), FileDamaged),
    "signed, but a plane too long": (sealed(b"".join(planes(HUMAN, 1)), (1, 0, 0)), FileDamaged),
    "signed, but a plane that blows up": (
        sealed(b"".join([plane(bytes(10**7)), *planes(HUMAN)[1:]]), (1, 0, 0)),
        FileDamaged,
    ),
    "signed, but an ID twice": (sealed(b"".join(planes(HUMAN, 0)), (2, 0, 0)), FileDamaged),
    "signed, but an ID of no category": (sealed(b"".join(planes(5)), (1, 0, 0)), FileDamaged),
    "signed, but an ID beyond the categories": (sealed(b"".join(planes(4 << 56)), (0, 0, 1)), FileDamaged),
    "signed, but IDs beyond 64 bits": (sealed(b"".join(planes(WORKLOAD, 2**64 - 1)), (0, 0, 2)), FileDamaged),
    "signed, but other counts": (sealed(b"".join(planes(HUMAN)), (0, 1, 0)), FileDamaged),
    "signed, but counts beyond reason": (sealed(b"".join(planes(HUMAN)), (2**63, 2**63, 0)), FileDamaged),
}


@pytest.mark.req("REVOKE-6", "REVOKE-7")
@pytest.mark.parametrize(("data", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_file_is_refused_and_the_last_good_one_stays(
    directory: Path, data: bytes, error: type[SignedFileRefused]
) -> None:
    machine = store(directory)
    machine.offer(crl([MACHINE + 1], sequence=3))
    with pytest.raises(SignedFileRefused) as caught:
        machine.offer(data)
    assert type(caught.value) is error
    for holder in (machine, store(directory)):
        assert holder.is_revoked(MACHINE + 1) is True
        assert holder.is_revoked(HUMAN) is False
        assert holder.in_force is not None
        assert holder.in_force.header.sequence == 3


@pytest.mark.req("REVOKE-6")
def test_a_file_that_cannot_be_read_changes_nothing(directory: Path, tmp_path: Path) -> None:
    machine = store(directory)
    machine.offer(crl([HUMAN]))
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError):
            machine.offer_file(path)
    assert machine.is_revoked(HUMAN) is True


@pytest.mark.req("REVOKE-7")
def test_from_the_service_to_the_machine(directory: Path, tmp_path: Path) -> None:
    compiler = RevocationCompiler(tmp_path / "crl", key=KEY, clock=lambda: NOW)
    machine = store(directory, keys=[compiler.verification_key])
    assert compiler.publish([]).sequence == 1
    assert machine.offer_file(compiler.path)
    assert machine.is_revoked(WORKLOAD + 7) is False
    again = RevocationCompiler(tmp_path / "crl", key=KEY, clock=lambda: NOW + 60)
    assert again.publish({WORKLOAD + 7}).sequence == 2
    assert machine.offer_file(compiler.path)
    assert not machine.offer_file(compiler.path)
    assert machine.is_revoked(WORKLOAD + 7) is True


@pytest.mark.req("REVOKE-2", "REVOKE-6")
def test_age(directory: Path) -> None:
    told: list[str] = []
    times = [float(NOW)]
    warns = store(directory, clock=lambda: times[0], freshness=Freshness(3600), warn=told.append)
    refuses = store(directory, clock=lambda: times[0], freshness=Freshness(3600, fail_closed=True))
    warns.offer(crl([HUMAN]))
    refuses.refresh()
    times[0] = NOW + 3601
    assert [warns.is_revoked(HUMAN), warns.is_revoked(MACHINE)] == [True, False]
    assert [refuses.is_revoked(HUMAN), refuses.is_revoked(MACHINE)] == [None, None]
    assert len(told) == 1
    warns.offer(crl([HUMAN], sequence=2, issued_at=NOW + 3600))
    refuses.refresh()
    assert refuses.is_revoked(MACHINE) is False
    assert [warns.is_revoked(MACHINE), len(told)] == [False, 1]


def test_no_such_id_is_no_answer(directory: Path) -> None:
    machine = store(directory)
    machine.offer(crl([HUMAN]))
    assert machine.is_revoked(-1) is None
    assert machine.is_revoked(2**64) is None


def asks(machine: RevocationStore) -> Callable[[Realm], Trust]:
    return lambda realm: replace(realm.trust(), is_revoked=machine.is_revoked)


@pytest.mark.req("REVOKE-1", "REVOKE-6")
@pytest.mark.parametrize("position", [0, 1], ids=["handshake certificate", "master certificate"])
def test_each_peer_asks_its_own_file_about_both_certificates(directory: Path, position: int) -> None:
    machine = store(directory)
    pair = Pair(server={"trust": asks(machine)})
    pair.handshake()
    refused = pair.server
    assert refused.state == "FAILED", "no file at start: no handshakes"
    machine.offer(crl([]))
    pair = Pair(server={"trust": asks(machine)})
    _, events = pair.handshake()
    assert pair.server.state == "OPEN"
    peer = next(event for event in events if hasattr(event, "peer")).peer
    machine.offer(crl([peer.revocation_ids[position]], sequence=2))
    pair = Pair(server={"trust": asks(machine)})
    _, events = pair.handshake()
    assert code(events) is ErrorCode.CERTIFICATE_REVOKED


@settings(max_examples=20)
@given(sequences=st.permutations([1, 2, 3, 4]))
def test_order_of_arrival(tmp_path_factory: pytest.TempPathFactory, sequences: list[int]) -> None:
    directory = tmp_path_factory.mktemp("store", numbered=True)
    directory.chmod(0o700)
    machine = store(directory)
    for sequence in sequences:
        try:
            machine.offer(crl([HUMAN + sequence], sequence=sequence))
        except FileOlder:
            assert machine.in_force is not None
            assert machine.in_force.header.sequence > sequence
    assert [machine.is_revoked(HUMAN + sequence) for sequence in (1, 2, 3, 4)] == [False, False, False, True]
