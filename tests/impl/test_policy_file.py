"""Signed policy files and the store that keeps one in force (SPEC 13.2)."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alts import Category, ConfigurationError, Trust, UsageError
from alts._signed_file import HEADER_SIZE, seal
from alts.policy import (
    FileBadSignature,
    FileConflict,
    FileDamaged,
    FileNotSigned,
    FileOlder,
    FileTruncated,
    FileUnknownKey,
    FileWrongDeployment,
    Freshness,
    Kind,
    PolicyStore,
    Publisher,
    SignedFileRefused,
    compile_policy,
    open_policy,
    read_document,
    write_document,
)
from alts.revocation import compile_revocations
from tests.impl.policy_tools import KEY, NOW, OTHER_KEY, OTHER_PUBLIC, POLICIES, PUBLIC, TEXT, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from alts import Policy

MORE = TEXT + '[[rule]]\nissuer = "cluster-master"\ncategory = "workload"\nidentity = "prod/**"\n'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.mkdir(mode=0o700)
    return path


def store(directory: Path, now: float = NOW, **more: object) -> PolicyStore:
    options = {"keys": [PUBLIC], "deployment": "production", "clock": lambda: now} | more
    return PolicyStore(directory, **options)  # type: ignore[arg-type]  # a dict of options


@pytest.mark.req("POLICY-1")
@given(policy=POLICIES, sequence=st.integers(1, 2**64 - 1), issued_at=st.integers(0, 2**64 - 1))
def test_a_compiled_policy_says_what_the_document_says(policy: Policy, sequence: int, issued_at: int) -> None:
    document = read_document(write_document(policy, "test"))
    data = compile_policy(document, key=KEY, sequence=sequence, issued_at=issued_at)
    header, compiled = open_policy(data, [PUBLIC, OTHER_PUBLIC])
    assert compiled.policy == policy
    assert (compiled.deployment, header.sequence, header.issued_at) == ("test", sequence, issued_at)
    assert sum(header.counts) == len(policy.rules)
    assert data == compile_policy(document, key=KEY, sequence=sequence, issued_at=issued_at)


def test_the_bytes_are_those_of_the_specification() -> None:
    data = signed(sequence=7)
    body = b'{"deployment":"production","format":1,"rules":[["ca",1,"corp/*"]]}'
    header = b"\x89ALTSPOL" + struct.pack(">IQQ", 1, NOW, 7) + hashlib.sha256(PUBLIC).digest()
    header += struct.pack(">QQQQ", 1, 0, 0, len(body)) + hashlib.sha256(body).digest()
    assert data == header + KEY.sign(b"openalts v1 policy file\0" + header) + body
    assert HEADER_SIZE == 124 + 64


@pytest.mark.parametrize("numbers", [{"sequence": 0}, {"sequence": 2**64}, {"issued_at": -1}, {"issued_at": 2**64}])
def test_numbers_out_of_range_are_misuse(numbers: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        signed(**numbers)  # type: ignore[arg-type]  # a dict of options


def resigned(change: Callable[[bytearray], None]) -> bytes:
    """Return the file with a changed header under a good signature."""
    data = bytearray(signed(sequence=9))
    change(data)
    header = bytes(data[:124])
    return header + KEY.sign(Kind.POLICY.context + header) + bytes(data[HEADER_SIZE:])


def put(position: int, content: bytes) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[position : position + len(content)] = content

    return change


def sealed(body: bytes, counts: tuple[int, int, int] = (1, 0, 0)) -> bytes:
    return seal(Kind.POLICY, body, counts=counts, sequence=9, issued_at=NOW, key=KEY)


BODY = signed()[HEADER_SIZE:]
REFUSED: dict[str, tuple[bytes, type[SignedFileRefused]]] = {
    "nothing": (b"", FileNotSigned),
    "the document itself": (TEXT.encode(), FileNotSigned),
    "unsigned: the body alone": (BODY, FileNotSigned),
    "unsigned: a signature of zeros": (signed()[:124] + bytes(64) + BODY, FileBadSignature),
    "wrongly signed: another key's signature": (
        signed()[:124] + OTHER_KEY.sign(Kind.POLICY.context + signed()[:124]) + BODY,
        FileBadSignature,
    ),
    "wrongly signed: no context string": (signed()[:124] + KEY.sign(signed()[:124]) + BODY, FileBadSignature),
    "signed for the other kind": (
        signed()[:124] + KEY.sign(Kind.REVOCATIONS.context + signed()[:124]) + BODY,
        FileBadSignature,
    ),
    "a revocation file": (compile_revocations([], key=KEY, sequence=1, issued_at=NOW), FileNotSigned),
    "a key that is not pinned": (signed(key=OTHER_KEY), FileUnknownKey),
    "truncated in the magic": (signed()[:5], FileTruncated),
    "truncated in the header": (signed()[:100], FileTruncated),
    "truncated in the signature": (signed()[:150], FileTruncated),
    "truncated in the body": (signed()[:-1], FileTruncated),
    "a byte too many": (signed() + b"\0", FileDamaged),
    "another body": (signed()[:HEADER_SIZE] + BODY.replace(b"ca", b"**"), FileDamaged),
    "another format": (resigned(put(8, b"\0\0\0\2")), FileDamaged),
    "sequence number 0": (resigned(put(20, bytes(8))), FileDamaged),
    "other counts": (resigned(put(60, b"\0" * 7 + b"\2")), FileDamaged),
    "no JSON": (sealed(b"{"), FileDamaged),
    "no ASCII": (sealed(BODY.replace(b"ca", "é".encode())), FileDamaged),
    "nested too deeply": (sealed(b"[" * 100_000), FileDamaged),
    "not canonical": (sealed(BODY + b" "), FileDamaged),
    "a pattern that is none": (sealed(BODY.replace(b"corp/*", b"corp*")), FileDamaged),
    "a category that is none": (sealed(BODY.replace(b",1,", b",4,")), FileDamaged),
    "a rule that is none": (sealed(BODY.replace(b'"ca",1,', b'"ca",')), FileDamaged),
    "no object": (sealed(b"[]"), FileDamaged),
    "too large": (signed() + bytes(4 << 20), FileDamaged),
    "another deployment": (signed(TEXT.replace("production", "test"), sequence=5), FileWrongDeployment),
    "older": (signed(MORE, sequence=2), FileOlder),
    "the same number, other bytes": (signed(MORE, sequence=3), FileConflict),
    "the same number, another time": (signed(sequence=3, issued_at=NOW + 1), FileConflict),
}


@pytest.mark.req("POLICY-1", "POLICY-2")
@pytest.mark.parametrize(("data", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_file_is_refused_and_the_last_good_one_stays(
    directory: Path, data: bytes, error: type[SignedFileRefused]
) -> None:
    machine = store(directory)
    assert machine.offer(signed(sequence=3))
    in_force = machine.in_force
    with pytest.raises(SignedFileRefused) as caught:
        machine.offer(data)
    assert type(caught.value) is error
    assert str(caught.value)
    assert machine.in_force is in_force
    assert machine.policy.allows("ca", Category.HUMAN, "corp/alice")
    restarted = store(directory)
    assert restarted.problem is None
    assert restarted.in_force == in_force


@pytest.mark.req("POLICY-1", "POLICY-3")
def test_without_a_policy_everything_is_denied(directory: Path) -> None:
    machine = store(directory)
    assert machine.in_force is None
    assert machine.problem is None
    assert not machine.policy.allows("ca", Category.HUMAN, "corp/alice")


@pytest.mark.req("POLICY-2")
def test_a_new_file_acts_at_once_and_sequence_numbers_survive_a_restart(directory: Path) -> None:
    machine = store(directory)
    policy = Trust({}, machine.policy).policy
    assert machine.offer(signed(sequence=1))
    assert not machine.offer(signed(sequence=1)), "the very same file is not news"
    assert not policy.allows("cluster-master", Category.WORKLOAD, "prod/a")
    assert machine.offer(signed(MORE, sequence=5))
    assert policy.allows("cluster-master", Category.WORKLOAD, "prod/a")
    restarted = store(directory)
    assert restarted.policy.allows("cluster-master", Category.WORKLOAD, "prod/a")
    with pytest.raises(FileOlder):
        restarted.offer(signed(sequence=4))
    assert restarted.offer(signed(sequence=6))
    assert not restarted.policy.allows("cluster-master", Category.WORKLOAD, "prod/a")
    assert machine.refresh(), "another process of the machine follows"
    assert not machine.refresh()
    assert not policy.allows("cluster-master", Category.WORKLOAD, "prod/a")


@pytest.mark.req("POLICY-2")
def test_production_and_test_may_differ(tmp_path: Path) -> None:
    loose = TEXT.replace('"ca"', '"**"').replace("production", "test")
    answers = {}
    for name, text in (("production", TEXT), ("test", loose)):
        (tmp_path / name).mkdir(mode=0o700)
        machine = store(tmp_path / name, deployment=name)
        machine.offer(signed(text))
        answers[name] = machine.policy.allows("corp/mallory", Category.HUMAN, "corp/network-admin")
    assert answers == {"production": False, "test": True}


def test_what_is_left_of_a_damaged_store(directory: Path) -> None:
    store(directory).offer(signed(sequence=3))
    accepted = directory / "accepted"
    accepted.write_bytes(accepted.read_bytes()[:-1])
    machine = store(directory)
    assert isinstance(machine.problem, FileTruncated)
    assert not machine.policy.allows("ca", Category.HUMAN, "corp/alice")
    with pytest.raises(FileOlder):
        machine.offer(signed(sequence=2))
    assert machine.offer(signed(sequence=3)), "the same file again mends the store"
    assert vars(machine)["problem"] is None
    assert machine.policy.allows("ca", Category.HUMAN, "corp/alice")


@pytest.mark.parametrize(
    "state",
    ["", "[]", '{"format": 1, "sequence": 0, "sha256": ""}', json.dumps({"format": 1, "sequence": 3, "sha256": "0"})],
)
def test_a_store_that_forgot_its_highest_number_loads_nothing(directory: Path, state: str) -> None:
    store(directory).offer(signed(sequence=3))
    (directory / "highest.json").write_text(state)
    machine = store(directory)
    assert isinstance(machine.problem, ConfigurationError)
    assert machine.in_force is None
    with pytest.raises(ConfigurationError):
        machine.offer(signed(sequence=4))


def test_an_old_copy_put_in_the_place_of_the_accepted_file_is_refused(directory: Path) -> None:
    machine = store(directory)
    machine.offer(signed(sequence=3))
    machine.offer(signed(MORE, sequence=4))
    (directory / "accepted").write_bytes(signed(sequence=3))
    with pytest.raises(FileOlder):
        machine.refresh()
    assert machine.policy.allows("cluster-master", Category.WORKLOAD, "prod/a")
    assert isinstance(store(directory).problem, FileOlder)


@pytest.mark.parametrize("keys", [[], [b"short"], [PUBLIC + b"x"]], ids=["none", "too short", "too long"])
def test_a_store_pins_real_keys(directory: Path, keys: list[bytes]) -> None:
    with pytest.raises(ConfigurationError):
        store(directory, keys=keys)


def test_a_store_needs_a_directory_that_others_cannot_write(directory: Path) -> None:
    with pytest.raises(ConfigurationError):
        store(directory / "none")
    directory.chmod(0o777)
    with pytest.raises(ConfigurationError):
        store(directory)


@pytest.mark.req("POLICY-2")
def test_age(directory: Path) -> None:
    told: list[str] = []
    times = [float(NOW)]
    warns = store(directory, clock=lambda: times[0], freshness=Freshness(100), warn=told.append)
    warns.offer(signed())
    refuses = store(directory, clock=lambda: times[0], freshness=Freshness(100, fail_closed=True), warn=told.append)
    for late, stale in ((0, False), (100, False), (101, True), (10**6, True), (-(10**6), False)):
        times[0] = NOW + late
        assert warns.stale == refuses.stale == stale
        assert warns.policy.allows("ca", Category.HUMAN, "corp/alice")
        assert refuses.policy.allows("ca", Category.HUMAN, "corp/alice") == (not stale)
    assert told == ["policy file 1 is stale: 101 s old"]
    with pytest.raises(ConfigurationError):
        Freshness(0)


def test_a_live_policy_is_equal_to_itself_alone(directory: Path) -> None:
    machine = store(directory)
    first, second = machine.policy, machine.policy
    assert first == first
    assert first != second
    assert hash(first) == hash(first)
    assert replace(Trust({}, first)).policy is first


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(numbers=st.lists(st.integers(1, 6), min_size=1, max_size=8), restart=st.lists(st.booleans(), min_size=8))
def test_the_highest_number_wins_whatever_comes(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], restart: list[bool]
) -> None:
    directory = tmp_path_factory.mktemp("store", numbered=True)
    directory.chmod(0o700)
    machine, highest = store(directory), 0
    for number, again in zip(numbers, restart, strict=False):
        if number < highest:
            with pytest.raises(FileOlder):
                machine.offer(signed(sequence=number))
        else:
            assert machine.offer(signed(sequence=number)) == (number > highest)
            highest = number
        machine = store(directory) if again else machine
        assert machine.in_force is not None
        assert machine.in_force.header.sequence == highest


def test_a_publisher_never_uses_a_number_twice(tmp_path: Path) -> None:
    path = tmp_path / "policy.alts"
    publisher = Publisher(Kind.POLICY, path, clock=lambda: NOW)

    def make(sequence: int, issued_at: int) -> bytes:
        return signed(sequence=sequence, issued_at=issued_at)

    def fail(sequence: int, issued_at: int) -> bytes:
        raise RuntimeError

    assert [publisher.publish(make).sequence for _ in range(2)] == [1, 2]
    with pytest.raises(RuntimeError):
        publisher.publish(fail)
    assert path.read_bytes() == signed(sequence=2), "the old file is still there"
    assert publisher.publish(make).sequence == 4
    path.unlink()
    assert publisher.publish(make).sequence == 5
    os.unlink(tmp_path / "policy.alts.sequence")
    assert publisher.publish(make).sequence == 6
    for used in (1, 6):
        with pytest.raises(ConfigurationError):
            publisher.publish(make, sequence=used)
    assert publisher.publish(make, sequence=100).sequence == 100
    (tmp_path / "policy.alts.sequence").write_text('{"format": 1, "sequence": "x"}')
    with pytest.raises(ConfigurationError):
        publisher.publish(make)


def test_a_publisher_replaces_nothing_but_files_of_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "out"
    publisher = Publisher(Kind.POLICY, path, clock=lambda: NOW)

    def make(sequence: int, issued_at: int) -> bytes:
        return signed(sequence=sequence, issued_at=issued_at)

    revocations = compile_revocations([], key=KEY, sequence=7, issued_at=NOW)
    for other in (b"ed25519-private " + b"0" * 64, TEXT.encode(), revocations, b"\x89PNG", b"\0"):
        path.write_bytes(other)
        with pytest.raises(ConfigurationError, match="exists already"):
            publisher.publish(make)
        assert path.read_bytes() == other
        assert not (tmp_path / "out.sequence").exists(), "no number was used up"
    for number, own in enumerate((b"", signed()[:5], signed()[:50], b"\x89ALTSPOL" + bytes(300)), 1):
        path.write_bytes(own)  # what a mere `touch`, or a broken disk, left
        assert publisher.publish(make).sequence == number


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_publisher_needs_the_name_of_a_file(path: str) -> None:
    with pytest.raises(ConfigurationError, match="not the name of a file"):
        Publisher(Kind.POLICY, Path(path), clock=lambda: NOW)
