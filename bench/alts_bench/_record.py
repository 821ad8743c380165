"""`alts bench record`: sealing and opening against the bare AES-128-GCM of the same library (REC-5, REC-6)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alts import Opener, Role, Sealer

from ._measure import alternate

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 20)
_OVERHEAD = 24
_RUN = 1 << 22  # bytes of plaintext a loop


def _bare(size: int) -> Callable[[], int]:
    """AES-128-GCM alone, in place: no frame, no counter, no key schedule."""
    aead, nonce, buffer = AESGCM(bytes(16)), bytes(12), bytearray(size + 16)
    view, plaintext = memoryview(buffer), memoryview(buffer)[:size]

    def run() -> int:
        for _ in range(_RUN // size):
            aead.encrypt_into(nonce, plaintext, None, view)
        return _RUN

    return run


def _seal(size: int) -> Callable[[], int]:
    sealer, data = Sealer(bytes(128), Role.CLIENT, size + _OVERHEAD), os.urandom(_RUN)

    def run() -> int:
        sealer.seal(data)
        return _RUN

    return run


def _open(size: int) -> Callable[[], int]:
    wire = bytes(Sealer(bytes(128), Role.CLIENT, size + _OVERHEAD).seal(bytes(_RUN)))

    def run() -> int:
        opener = Opener(bytes(128), Role.SERVER, size + _OVERHEAD)
        return sum(len(part) for part in opener.open(wire))

    return run


def measure(seconds: float) -> list[dict[str, float]]:
    """Return one row a plaintext size: bytes a second of the bare cipher at that size, and the shares reached."""
    rows = []
    for size in SIZES:
        costs = alternate({"bare": _bare(size), "seal": _seal(size), "open": _open(size)}, seconds / len(SIZES))
        rows.append(
            {
                "plaintext_bytes": size,
                "bare_bytes_per_second": 1 / costs["bare"],
                "seal_ratio": costs["bare"] / costs["seal"],
                "open_ratio": costs["bare"] / costs["open"],
            }
        )
    return rows
