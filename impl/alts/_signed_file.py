"""The envelope of files that every machine gets: a signed header that names the body's digest (SPEC 13.2, 13.3).

One format for policy files and revocation files. All of it is verified before a byte of the body is looked at.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ._errors import AltsError, ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = 1
_KEY_SIZE, _SIGNATURE_SIZE, _MAGIC_SIZE = 32, 64, 8
_HEADER = struct.Struct(">8sIQQ32s3QQ32s")
"""magic, format, issue time, sequence, key ID, counts by category, body length, SHA-256 of the body."""
HEADER_SIZE = _HEADER.size + _SIGNATURE_SIZE
"""Bytes before the body: 124 that are signed, and the signature."""
LARGEST = 2**64 - 1
"""Of every number in a header."""


class Kind(enum.Enum):
    """What a signed file holds; the value is its magic, 8 bytes."""

    POLICY = b"\x89ALTSPOL"
    REVOCATIONS = b"\x89ALTSREV"

    @property
    def context(self) -> bytes:
        """What stands before the header when it is signed: a signature over one kind is none over another."""
        return b"openalts v1 policy file\0" if self is Kind.POLICY else b"openalts v1 revocation file\0"


class SignedFileRefused(AltsError):
    """A file that was not loaded. What was in force before stays in force."""


class FileNotSigned(SignedFileRefused):
    """It does not begin as a signed file of its kind does."""


class FileTruncated(SignedFileRefused):
    """It ends too early."""


class FileDamaged(SignedFileRefused):
    """Its body is not the one that was signed, or does not say what a file of its kind must say."""


class FileUnknownKey(SignedFileRefused):
    """It is signed under a key that is not pinned here."""


class FileBadSignature(SignedFileRefused):
    """The signature over its header is wrong."""


class FileOlder(SignedFileRefused):
    """Its sequence number is below the highest that was ever accepted here."""


class FileConflict(SignedFileRefused):
    """Its sequence number was accepted here before, with other bytes."""


class FileWrongDeployment(SignedFileRefused):
    """It is a policy for another deployment, such as the test clusters."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a signed file says about itself.

    Attributes:
        kind: of file.
        issued_at: seconds since the epoch when it was signed.
        sequence: from 1; each file of one signer has a higher one than the last.
        key_id: SHA-256 of the signer's raw public key, 32 bytes.
        counts: entries of category HUMAN, MACHINE and WORKLOAD.
        body_size: bytes.
        body_digest: SHA-256 of the body, 32 bytes.
    """

    kind: Kind
    issued_at: int
    sequence: int
    key_id: bytes
    counts: tuple[int, int, int]
    body_size: int
    body_digest: bytes

    def pack(self) -> bytes:
        """Return the 124 bytes that are signed."""
        fields = (self.issued_at, self.sequence, self.key_id, *self.counts, self.body_size, self.body_digest)
        return _HEADER.pack(self.kind.value, FORMAT, *fields)


def pinned(keys: Collection[bytes]) -> dict[bytes, Ed25519PublicKey]:
    """Return raw Ed25519 public keys, 32 bytes each, by their SHA-256.

    Raises:
        ConfigurationError: there is none, or one has another size.
    """
    if not keys or any(len(key) != _KEY_SIZE for key in keys):
        raise ConfigurationError("pin at least one raw Ed25519 public key of 32 bytes")
    return {hashlib.sha256(key).digest(): Ed25519PublicKey.from_public_bytes(key) for key in keys}


def seal(
    kind: Kind,
    body: bytes,
    *,
    counts: tuple[int, int, int],
    sequence: int,
    issued_at: int,
    key: Ed25519PrivateKey,
) -> bytes:
    """Return a signed file. The same arguments give the same bytes.

    Raises:
        UsageError: the sequence number or the time is out of range.
    """
    if not 0 < sequence <= LARGEST or not 0 <= issued_at <= LARGEST:
        raise UsageError("a sequence number is 1 to 2**64 - 1, a time 0 to 2**64 - 1")
    key_id = hashlib.sha256(key.public_key().public_bytes_raw()).digest()
    header = Header(kind, issued_at, sequence, key_id, counts, len(body), hashlib.sha256(body).digest()).pack()
    return header + key.sign(kind.context + header) + body


def peek(kind: Kind, data: bytes) -> Header:
    """Return what a file says about itself, with nothing verified: for people, never for decisions.

    Raises:
        FileNotSigned, FileTruncated, FileDamaged: it has no header of this kind and format.
    """
    if data[:_MAGIC_SIZE] != kind.value[: len(data)] or not data:
        raise FileNotSigned(f"no signed {kind.name.lower()} file: it does not begin as one")
    if len(data) < HEADER_SIZE:
        raise FileTruncated(f"ends inside the header, after {len(data)} bytes")
    _, version, issued_at, sequence, key_id, *counts, body_size, digest = _HEADER.unpack_from(data)
    if version != FORMAT:
        raise FileDamaged(f"format {version}, this version reads {FORMAT}")
    return Header(kind, issued_at, sequence, key_id, (counts[0], counts[1], counts[2]), body_size, digest)


def unseal(kind: Kind, data: bytes, keys: dict[bytes, Ed25519PublicKey]) -> tuple[Header, bytes]:
    """Verify a whole file and return its header and body.

    Raises:
        SignedFileRefused: one of its subclasses says why.
    """
    header = peek(kind, data)
    key = keys.get(header.key_id)
    if key is None:
        raise FileUnknownKey(f"signed under key {header.key_id.hex()[:16]}…, which is not pinned")
    try:
        key.verify(data[_HEADER.size : HEADER_SIZE], kind.context + data[: _HEADER.size])
    except InvalidSignature:
        raise FileBadSignature("the signature over the header is wrong") from None
    if not header.sequence:
        raise FileDamaged("sequence number 0")
    body = data[HEADER_SIZE:]
    if len(body) < header.body_size:
        raise FileTruncated(f"the body has {len(body)} of {header.body_size} bytes")
    if len(body) > header.body_size:
        raise FileDamaged(f"{len(body) - header.body_size} bytes follow the body")
    if hashlib.sha256(body).digest() != header.body_digest:
        raise FileDamaged("the body is not the one that was signed")
    return header, body
