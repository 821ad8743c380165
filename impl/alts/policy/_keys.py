"""Key files of a policy's signer: one line each, that says which half it is (SPEC 13.2 leaves their form to us).

Files without that word, of 64 hexadecimal digits alone, are read too. By themselves they do not tell which half they
are, so that the name and the other half's file have to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .._errors import ConfigurationError
from ..realm import _files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LINE = re.compile(rb"(?:ed25519-(private|public) )?([0-9a-f]{64})\n?")


def public_path(path: Path) -> Path:
    """Return where the public half of a private key file lies. Raises ConfigurationError if `path` names no file."""
    return _files.beside(path, ".pub")


def write_pair(path: Path, random: Callable[[int], bytes]) -> None:
    """Make a key pair: the private half at `path`, the public one beside it.

    Raises:
        ConfigurationError: one of the files is there already, or cannot be written.
    """
    public = public_path(path)
    for taken in (path, public):
        with _files.explained(taken):
            if taken.exists() or taken.is_symlink():
                raise ConfigurationError(f"{taken}: exists already")
    key = Ed25519PrivateKey.from_private_bytes(random(_files.KEY_SIZE))
    _files.replace(path, _line("private", key.private_bytes_raw()))
    _files.replace(public, _line("public", key.public_key().public_bytes_raw()))


def read_private(path: Path) -> Ed25519PrivateKey:
    """Return a private key.

    Raises:
        ConfigurationError: it is missing, damaged, too open, or a public key; or the public key beside it is another's.
    """
    half, raw = _read(path, private=True)
    if half == "public" or (half is None and path.suffix == ".pub"):
        raise ConfigurationError(f"{path}: is a public key, not a private one")
    key = Ed25519PrivateKey.from_private_bytes(raw)
    public = public_path(path)
    if public.exists() and _read(public, private=False)[1] != key.public_key().public_bytes_raw():
        raise ConfigurationError(f"{path}: is not the private key of {public}")
    return key


def read_public(path: Path) -> bytes:
    """Return the 32 bytes of a public key.

    Raises:
        ConfigurationError: it is missing, damaged, or a private key.
    """
    half, raw = _read(path, private=False)
    beside = public_path(path)
    if half is None and beside.exists():
        made = Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
        half = "private" if _read(beside, private=False)[1] == made else None
    if half == "private":
        raise ConfigurationError(f"{path}: is a private key; the public one is {beside.name}")
    return raw


def _read(path: Path, *, private: bool) -> tuple[str | None, bytes]:
    """Return which half a file says that it is, None if it does not, and the key. Never shows the content."""
    found = _LINE.fullmatch(_files.read(path, private=private))
    if found is None:
        raise ConfigurationError(f"{path}: is not a key of {_files.KEY_SIZE} bytes in hexadecimal")
    return found[1].decode("ascii") if found[1] else None, bytes.fromhex(found[2].decode("ascii"))


def _line(half: str, key: bytes) -> bytes:
    return f"ed25519-{half} {key.hex()}\n".encode("ascii")
