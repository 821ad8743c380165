"""Keep one signed file in force: accept newer ones whole and durably, refuse the rest, survive a crash at any moment.

A store is a directory with `accepted`, the bytes that are in force, and `highest.json`, the highest sequence number
that was ever accepted and the digest of that file. `accepted` is replaced first: a crash between the two leaves a file
that is newer than `highest.json`, which is fine; the other order could leave none that may be loaded.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ._errors import AltsError, ConfigurationError
from ._signed_file import FileConflict, FileDamaged, FileOlder, Header, pinned, unseal
from .realm import _files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from ._signed_file import Kind

T = TypeVar("T")
_STATE_FORMAT = 1
_log = logging.getLogger("alts.files")


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a file may be, counted from its issue time.

    Attributes:
        max_age: seconds; infinity: any age.
        fail_closed: a file that is too old answers nothing, so that no handshake succeeds; otherwise it warns, once.
    """

    max_age: float = math.inf
    fail_closed: bool = False

    def __post_init__(self) -> None:
        if not self.max_age > 0:
            raise ConfigurationError("max_age must be above 0")


@dataclass(frozen=True, slots=True)
class InForce(Generic[T]):
    """An accepted file: its header, the SHA-256 of all of it, what it holds, and when it becomes stale."""

    header: Header
    digest: bytes
    value: T
    deadline: float


class SignedFileStore(Generic[T]):
    """The base of `PolicyStore` and `RevocationStore`; several processes may share its directory.

    Args:
        directory: of the store; it exists, and only its owner may write it.
        kind: of file.
        keys: raw Ed25519 public keys, 32 bytes each, that may sign. One; two while a key is replaced.
        decode: makes the value out of header and body; raises FileDamaged (or another SignedFileRefused).
        limit: a larger file is refused, in bytes.
        clock: seconds since the epoch.
        freshness: how old a file may be.
        warn: is told, once a file, that it is stale; default: the logger `alts.files`.

    Attributes:
        problem: why nothing is in force although the directory has an accepted file; else None.

    Raises:
        ConfigurationError: the directory is missing or too open, or no key is pinned.
    """

    def __init__(
        self,
        directory: Path,
        *,
        kind: Kind,
        keys: Collection[bytes],
        decode: Callable[[Header, bytes], T],
        limit: int,
        clock: Callable[[], float],
        freshness: Freshness | None = None,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        self._directory = directory
        self._kind = kind
        self._keys = pinned(keys)
        self._decode = decode
        self._limit = limit
        self._clock = clock
        self._freshness = freshness or Freshness()
        self._warn = warn
        self._warned = 0
        self._current: InForce[T] | None = None
        self._seen: tuple[int, int, int] | None = None
        self.problem: AltsError | None = None
        _files.check_directory(directory)
        try:
            self.refresh()
        except AltsError as error:
            self.problem = error

    @property
    def in_force(self) -> InForce[T] | None:
        """The file in force, whatever its age; None: no file was ever accepted, or what is left of it is damaged."""
        return self._current

    @property
    def accepted(self) -> Path:
        """Where the accepted file lies."""
        return self._directory / "accepted"

    @property
    def stale(self) -> bool:
        """Whether the file in force is older than it may be. A clock that is behind makes nothing stale (REVOKE-2)."""
        return self._current is not None and self._clock() > self._current.deadline

    def usable(self) -> InForce[T] | None:
        """Return the file in force, or None if there is none or it is too old and the store fails closed."""
        current = self._current
        if current is None or current.deadline == math.inf:
            return current
        return current if self._clock() <= current.deadline or self._use_stale(current) else None

    def offer(self, data: bytes) -> bool:
        """Accept a file that was distributed: verify all of it, write it durably, put it in force.

        Returns:
            Whether it is new; False: these very bytes are in force already.

        Raises:
            SignedFileRefused: one of its subclasses says why; what was in force stays.
            ConfigurationError: the store cannot be read or written; what was in force stays.
        """
        if len(data) > self._limit:
            raise FileDamaged(f"larger than {self._limit} bytes")
        header, body = unseal(self._kind, data, self._keys)
        digest = hashlib.sha256(data).digest()
        with _files.locked(self._directory):
            try:
                self.refresh()  # another process may have accepted a newer one
            except AltsError as error:
                self.problem = error
            highest = self._highest()
            _check_sequence(header, digest, highest)
            if self._current is not None:
                _check_sequence(header, digest, (self._current.header.sequence, self._current.digest))
                if digest == self._current.digest and highest[1] == digest:
                    return False
            current = self._in_force(header, digest, body)
            _files.replace(self.accepted, data)
            _files.replace(self._directory / "highest.json", _state(header.sequence, digest))
            self._activate(current, self._stat())
        return True

    def offer_file(self, path: Path) -> bool:
        """Read a distributed file and `offer` it. Raises also ConfigurationError if it cannot be read."""
        return self.offer(_files.read(path, limit=self._limit))

    def refresh(self) -> bool:
        """Load the directory's accepted file if another process has replaced it since; cheap if nobody has.

        Returns:
            Whether another file is in force now.

        Raises:
            SignedFileRefused, ConfigurationError: it cannot be loaded; what was in force stays.
        """
        seen = self._stat()
        if seen is None or seen == self._seen:
            return False
        data = _files.read(self.accepted, limit=self._limit)
        digest = hashlib.sha256(data).digest()
        if self._current is not None and digest == self._current.digest:
            self._seen = seen
            return False
        header, body = unseal(self._kind, data, self._keys)
        _check_sequence(header, digest, self._highest())
        if self._current is not None:
            _check_sequence(header, digest, (self._current.header.sequence, self._current.digest))
        self._activate(self._in_force(header, digest, body), seen)
        return True

    def _in_force(self, header: Header, digest: bytes, body: bytes) -> InForce[T]:
        return InForce(header, digest, self._decode(header, body), header.issued_at + self._freshness.max_age)

    def _activate(self, current: InForce[T], seen: tuple[int, int, int] | None) -> None:
        self._current = current  # one assignment: a handshake in another thread sees the old file or the new one
        self._seen = seen
        self.problem = None

    def _use_stale(self, current: InForce[T]) -> bool:
        if self._freshness.fail_closed:
            return False
        if self._warned != current.header.sequence:
            self._warned = current.header.sequence
            age = int(self._clock()) - current.header.issued_at
            self._warn(f"{self._kind.name.lower()} file {current.header.sequence} is stale: {age} s old")
        return True

    def _stat(self) -> tuple[int, int, int] | None:
        """Return what tells one accepted file from the next; None: there is none."""
        try:
            status = os.stat(self.accepted)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"{self.accepted}: {error.strerror or error}") from None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _highest(self) -> tuple[int, bytes]:
        """Return sequence number and digest of the highest file ever accepted; (0, b"") before the first."""
        path = self._directory / "highest.json"
        if not path.exists():
            return 0, b""
        state = _files.read_json(path, {"sequence", "sha256"}, version=_STATE_FORMAT)
        sequence, digest = state["sequence"], state["sha256"]
        try:
            if type(sequence) is int and sequence > 0 and len(found := bytes.fromhex(digest)) == 32:
                return sequence, found
        except (TypeError, ValueError):
            pass
        raise ConfigurationError(f"{path}: is not a sequence number and a digest")


def _state(sequence: int, digest: bytes) -> bytes:
    return _files.json_bytes({"sequence": sequence, "sha256": digest.hex()}, version=_STATE_FORMAT)


def _check_sequence(header: Header, digest: bytes, highest: tuple[int, bytes]) -> None:
    if header.sequence < highest[0]:
        raise FileOlder(f"sequence number {header.sequence}, but {highest[0]} was accepted before")
    if header.sequence == highest[0] and digest != highest[1]:
        raise FileConflict(f"sequence number {header.sequence} was accepted before, with other bytes")
