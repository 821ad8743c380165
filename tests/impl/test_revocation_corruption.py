"""A corrupted revocation file is never loaded, and never reaches a parser (SPEC 13.3).

By default a thousand random corruptions; ten thousand with
`ALTS_CORRUPTIONS=10000 make test ARGS=tests/impl/test_revocation_corruption.py`.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from alts.policy import SignedFileRefused
from alts.revocation import RevocationStore, _encoding, compile_revocations, open_revocations
from tests.impl.policy_tools import KEY, NOW, OTHER_KEY, PUBLIC

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyroaring import FrozenBitMap64

    from alts.policy import Header

COUNT = int(os.environ.get("ALTS_CORRUPTIONS", "1000"))
BASE = 3 << 56
OTHER = compile_revocations(range(BASE, BASE + 500, 7), key=OTHER_KEY, sequence=3, issued_at=NOW)


def _flip(data: bytearray, r: random.Random) -> None:
    data[r.randrange(len(data))] ^= 1 << r.randrange(8)


def _flip_header(data: bytearray, r: random.Random) -> None:
    data[r.randrange(min(188, len(data)))] ^= 1 << r.randrange(8)


def _set(data: bytearray, r: random.Random) -> None:
    data[r.randrange(len(data))] = r.randrange(256)


def _truncate(data: bytearray, r: random.Random) -> None:
    del data[r.randrange(len(data)) :]


def _remove(data: bytearray, r: random.Random) -> None:
    start = r.randrange(len(data))
    del data[start : start + 1 + r.randrange(64)]


def _insert(data: bytearray, r: random.Random) -> None:
    start = r.randrange(len(data) + 1)
    data[start:start] = r.randbytes(1 + r.randrange(64))


def _zero(data: bytearray, r: random.Random) -> None:
    start = r.randrange(len(data))
    end = min(len(data), start + 1 + r.randrange(4096))
    data[start:end] = bytes(end - start)


def _shuffle(data: bytearray, r: random.Random) -> None:
    a, b = sorted(r.randrange(len(data)) for _ in range(2))
    data[:] = data[b:] + data[a:b] + data[:a]


def _splice(data: bytearray, r: random.Random) -> None:
    cut = r.randrange(len(OTHER))
    data[cut:] = OTHER[cut:]


def _noise(data: bytearray, r: random.Random) -> None:
    data[8:] = r.randbytes(max(0, len(data) - 8))


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _flip_header,
    _set,
    _truncate,
    _remove,
    _insert,
    _zero,
    _shuffle,
    _splice,
    _noise,
)


@pytest.mark.req("REVOKE-6", "REVOKE-7")
@pytest.mark.timeout(3600)
def test_no_corruption_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    r = random.Random(COUNT)
    good = compile_revocations(r.sample(range(BASE, BASE + 40_000), 1000), key=KEY, sequence=2, issued_at=NOW)
    machine = RevocationStore(tmp_path, keys=[PUBLIC], clock=lambda: NOW)
    machine.offer(compile_revocations([BASE + 50_000], key=KEY, sequence=1, issued_at=NOW))
    in_force = machine.in_force
    decoded: list[bytes] = []
    inflated: list[bytes] = []
    decode, inflate = machine._decode, _encoding._inflate

    def watched_decode(header: Header, body: bytes) -> FrozenBitMap64:
        decoded.append(body)
        return decode(header, body)

    def watched_inflate(plane: bytes, size: int) -> bytes:
        inflated.append(plane)
        return inflate(plane, size)

    monkeypatch.setattr(machine, "_decode", watched_decode)
    monkeypatch.setattr(_encoding, "_inflate", watched_inflate)

    tried = 0
    while tried < COUNT:
        data = bytearray(good)
        for way in r.choices(WAYS, k=r.choice((1, 1, 1, 2, 3))):
            if data:
                way(data, r)
        if data == good:
            continue
        tried += 1
        with pytest.raises(SignedFileRefused):
            machine.offer(bytes(data))
        with pytest.raises(SignedFileRefused):
            open_revocations(bytes(data), [PUBLIC])
    assert decoded == inflated == [], "a byte of a refused file reached a parser"
    assert machine.in_force is in_force
    assert machine.is_revoked(BASE + 50_000) is True
    assert (tmp_path / "accepted").read_bytes() != good
    assert machine.offer(good), "the file that all were made of is accepted"
    assert len(decoded) == 1
    assert len(inflated) == 8
