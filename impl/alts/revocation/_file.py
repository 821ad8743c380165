"""The revocation file: made and signed by the CRL service, kept in force on every machine (SPEC 13.3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._signed_file import Kind, pinned, seal, unseal
from .._signed_file_publisher import Publisher
from .._signed_file_store import SignedFileStore
from ._encoding import collect, count, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from pyroaring import FrozenBitMap64

    from .._signed_file import Header
    from .._signed_file_store import Freshness

MAX_FILE_SIZE = 128 << 20


def compile_revocations(ids: Iterable[int], *, key: Ed25519PrivateKey, sequence: int, issued_at: int) -> bytes:
    """Return the signed file of a set of revoked IDs (REVOKE-7).

    Args:
        ids: 64-bit revocation IDs, in any order, none more than once in the result. A `pyroaring.BitMap64` is fastest.
        key: of the CRL service; its public half is pinned on every machine.
        sequence: above that of every earlier file of this key; `RevocationCompiler` keeps count.
        issued_at: seconds since the epoch.

    Raises:
        UsageError: one is no revocation ID, there are too many, or the sequence number or the time is out of range.
    """
    collected = collect(ids)
    return seal(
        Kind.REVOCATIONS,
        encode(collected),
        counts=count(collected),
        sequence=sequence,
        issued_at=issued_at,
        key=key,
    )


def open_revocations(data: bytes, keys: Collection[bytes]) -> tuple[Header, FrozenBitMap64]:
    """Verify a revocation file and return what it holds. For a machine, use `RevocationStore`: this forgets sequences.

    Args:
        data: the file.
        keys: raw Ed25519 public keys, 32 bytes each.

    Raises:
        SignedFileRefused: one of its subclasses says why.
    """
    header, body = unseal(Kind.REVOCATIONS, data, pinned(keys))
    return header, decode(header, body)


class RevocationCompiler:
    """The CRL service's way to a published file: compiles, numbers, signs and replaces it, durably (REVOKE-7).

    Args:
        path: of the file that is pushed to machines. Its directory exists.
        key: signs; keep its public half pinned on every machine.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path, *, key: Ed25519PrivateKey, clock: Callable[[], float]) -> None:
        self._publisher = Publisher(Kind.REVOCATIONS, path, clock=clock)
        self._key = key

    @property
    def verification_key(self) -> bytes:
        """The raw public key, 32 bytes, that stores pin."""
        return self._key.public_key().public_bytes_raw()

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self._publisher.path

    def publish(self, ids: Iterable[int]) -> Header:
        """Make the file of all revoked IDs under the next sequence number, and put it in its place whole.

        Raises:
            UsageError: an ID is none, or there are too many; nothing has changed.
            ConfigurationError: it cannot be written; the old file is still there.
        """
        collected = collect(ids)

        def make(sequence: int, issued_at: int) -> bytes:
            return compile_revocations(collected, key=self._key, sequence=sequence, issued_at=issued_at)

        return self._publisher.publish(make)


class RevocationStore(SignedFileStore["FrozenBitMap64"]):
    """Keeps a machine's revocation file in force (REVOKE-6); see `SignedFileStore`.

    Args:
        directory: of the store; it exists, and only its owner may write it.
        keys: raw Ed25519 public keys, 32 bytes each, that may sign revocation files.
        clock: seconds since the epoch.
        freshness: how old the file may be; whether a stale one still answers.
        warn: is told, once a file, that it is stale.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keys: Collection[bytes],
        clock: Callable[[], float],
        freshness: Freshness | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        more: dict[str, Any] = {} if warn is None else {"warn": warn}
        super().__init__(
            directory,
            kind=Kind.REVOCATIONS,
            keys=keys,
            decode=decode,
            limit=MAX_FILE_SIZE,
            clock=clock,
            freshness=freshness,
            **more,
        )

    def is_revoked(self, revocation_id: int) -> bool | None:
        """For `Trust.is_revoked`: tell whether a 64-bit ID is in the file in force.

        None, which refuses the peer: no file is in force, it is stale and the store fails closed, or it is no such ID.
        """
        current = self._current
        if current is None:
            return None
        deadline = current.deadline
        if deadline != math.inf and self._clock() > deadline and not self._use_stale(current):
            return None
        try:
            return revocation_id in current.value
        except (OverflowError, TypeError):
            return None
