"""Resumption keys of a realm directory: a private file an identity, older epochs kept while tickets live (SPEC 15).

A realm directory stands for one cell: whoever reads it and speaks for the identity is a replica (CRED-3, ISSUE-9).
"""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._errors import ConfigurationError
from .._messages import RESUMPTION_ID_SIZE
from .._resumption import CLOCK_SKEW, TICKET_LIFETIME
from .._tickets import KEY_SIZE, ResumptionKeys
from . import _files

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "resumption"
MAX_EPOCHS = 8
_ID = re.compile(rf"[0-9a-f]{{{2 * RESUMPTION_ID_SIZE}}}", re.ASCII)
_KEY = re.compile(rf"[0-9a-f]{{{2 * KEY_SIZE}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Epoch:
    """One key: its number, from 1, when it was made (seconds since the epoch), 32 bytes."""

    epoch: int
    created: int
    key: bytes = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "created": self.created, "key": self.key.hex()}


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What one file holds.

    Attributes:
        identity: whose keys these are.
        resumption_id: IDR, 16 bytes; it stays the same over all rotations.
        epochs: 1 to 8 keys, oldest first.
    """

    identity: str
    resumption_id: bytes
    epochs: tuple[_Epoch, ...]

    @property
    def keys(self) -> ResumptionKeys:
        """The keys as an endpoint uses them."""
        return ResumptionKeys(self.resumption_id, {entry.epoch: entry.key for entry in self.epochs})

    def rotated(self, key: bytes, now: int) -> KeyFile:
        """Return it with a further epoch, without those under which no ticket can live any more, or that are over 8."""
        added = (*self.epochs, _Epoch(self.epochs[-1].epoch + 1, now, key))
        end = now - TICKET_LIFETIME - CLOCK_SKEW
        kept = [entry for entry, successor in itertools.pairwise(added) if successor.created > end]
        return KeyFile(self.identity, self.resumption_id, (*kept, added[-1])[-MAX_EPOCHS:])


def new(identity: str, resumption_id: bytes, key: bytes, now: int) -> KeyFile:
    """Return the first file of an identity."""
    return KeyFile(identity, resumption_id, (_Epoch(1, now, key),))


def path_of(realm: Path, identity: str) -> Path:
    """Return where an identity's keys lie: identities are longer than file names may be, so a digest names them."""
    return realm / FOLDER / (hashlib.sha256(identity.encode("ascii")).hexdigest() + ".json")


def read(realm: Path, identity: str, *, version: int) -> KeyFile | None:
    """Read an identity's keys; None if it has none.

    Raises:
        ConfigurationError: the file or its directory is damaged or too open. The text never shows a key.
    """
    path = path_of(realm, identity)
    with _files.explained(path):
        if not path.parent.exists():
            return None
        _files.check_directory(path.parent)
        if not path.exists():
            return None
    names = {"identity", "resumption_id", "keys"}
    document = _files.read_json(path, names, version=version, private=True)
    if document["identity"] != identity:
        raise ConfigurationError(f"{path}: is not for {identity}")
    resumption_id, entries = document["resumption_id"], document["keys"]
    if not isinstance(resumption_id, str) or not _ID.fullmatch(resumption_id):
        raise ConfigurationError(f"{path}: resumption_id is not {2 * RESUMPTION_ID_SIZE} hexadecimal digits")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_EPOCHS:
        raise ConfigurationError(f"{path}: keys is not a list of 1 to {MAX_EPOCHS}")
    epochs: list[_Epoch] = []
    for number, entry in enumerate(entries, start=1):
        right = isinstance(entry, dict) and set(entry) == {"epoch", "created", "key"}
        if not right or type(entry["epoch"]) is not int or type(entry["created"]) is not int:
            raise ConfigurationError(f"{path}: key {number} is not an epoch, a time and a key")
        if not isinstance(entry["key"], str) or not _KEY.fullmatch(entry["key"]):
            raise ConfigurationError(f"{path}: key {number} is not {2 * KEY_SIZE} hexadecimal digits")
        lowest = epochs[-1].epoch + 1 if epochs else 1
        if not lowest <= entry["epoch"] < 1 << 64 or entry["created"] < 0:
            raise ConfigurationError(f"{path}: key {number}: epochs ascend from 1, times from 0")
        epochs.append(_Epoch(entry["epoch"], entry["created"], bytes.fromhex(entry["key"])))
    return KeyFile(identity, bytes.fromhex(resumption_id), tuple(epochs))


def write(realm: Path, content: KeyFile, *, version: int) -> None:
    """Replace an identity's file, mode 0600, whole; the caller holds the realm's lock.

    Raises:
        ConfigurationError: it cannot be written; the old one is still there.
    """
    path = path_of(realm, content.identity)
    with _files.explained(path.parent):
        if not path.parent.exists():
            _files.make_directory(path.parent)
            _files.sync_directory(realm)
    _files.check_directory(path.parent)
    document = {
        "identity": content.identity,
        "resumption_id": content.resumption_id.hex(),
        "keys": [entry.as_json() for entry in content.epochs],
    }
    _files.replace(path, _files.json_bytes(document, version=version))
