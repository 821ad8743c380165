"""What a machine believes: anchors that were installed on it, and the policy and revocation files pushed to it.

A trust directory holds `anchors.json` and the stores `policy` and `revocations`. One process of a machine writes it;
the others read along, and a new file acts at their next handshake (POLICY-2, REVOKE-6).
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from alts_schema.issuance_pb2 import POLICY, REVOCATIONS, FileKind

from .._errors import AltsError, ConfigurationError
from .._names import IDENTITY
from .._trust import Trust, VerifiedSignatures
from ..policy import Freshness, PolicyStore, SignedFileStore
from ..realm import _files
from ..revocation import RevocationStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .._trust import Peer

_FORMAT = 1
ANCHORS = "anchors.json"
STORES = ("policy", "revocations")
MAX_FILE_SIZE = 1 << 27
"""Of a signed file of either kind, in bytes (SPEC 13.2.4)."""
SERVICES = ("founding", "signing", "ca", "crl", "cluster-master")
logger = logging.getLogger("alts.services")


@dataclass(frozen=True, slots=True)
class Anchors:
    """What is installed on every machine, by hand or with its image (CRED-4).

    Attributes:
        realm: its name.
        deployment: whose policies are accepted, such as `production`.
        verification_key: raw public key of the Signing Service, 32 bytes.
        policy_key: likewise, of who signs policies.
        revocation_key: likewise, of the CRL service.
        services: identity of each service (`SERVICES`), which its clients insist on.
    """

    realm: str
    deployment: str
    verification_key: bytes = field(repr=False)
    policy_key: bytes = field(repr=False)
    revocation_key: bytes = field(repr=False)
    services: dict[str, str]

    def save(self, directory: Path) -> None:
        """Write `anchors.json`. Raises ConfigurationError as everything that writes."""
        keys = {name: getattr(self, name).hex() for name in ("verification_key", "policy_key", "revocation_key")}
        document = {"realm": self.realm, "deployment": self.deployment, **keys, "services": self.services}
        _files.replace(directory / ANCHORS, _files.json_bytes(document, version=_FORMAT))

    @classmethod
    def load(cls, directory: Path) -> Anchors:
        """Read `anchors.json`.

        Raises:
            ConfigurationError: it is missing, damaged or too open.
        """
        path = directory / ANCHORS
        names = {"realm", "deployment", "verification_key", "policy_key", "revocation_key", "services"}
        document = _files.read_json(path, names, version=_FORMAT)
        services = document["services"]
        try:
            keys = [bytes.fromhex(document[name]) for name in ("verification_key", "policy_key", "revocation_key")]
            named = set(services) == set(SERVICES) and all(map(IDENTITY.fullmatch, services.values()))
        except (TypeError, ValueError, AttributeError):
            raise ConfigurationError(f"{path}: a key or the services") from None
        strings = isinstance(document["realm"], str) and isinstance(document["deployment"], str)
        if not named or not strings or any(len(key) != 32 for key in keys):
            raise ConfigurationError(f"{path}: a name, a key or the services")
        return cls(document["realm"], document["deployment"], keys[0], keys[1], keys[2], services)


class Beliefs:
    """A trust directory in use.

    Args:
        directory: with `anchors.json`; the stores are made if they are missing.
        clock: returns seconds since the epoch.
        freshness: how old the revocation file may be.

    Attributes:
        trust: for configurations; its answers follow the files in force.

    Raises:
        ConfigurationError: the directory is missing or damaged.
    """

    def __init__(self, directory: Path, clock: Callable[[], float], freshness: Freshness | None = None) -> None:
        _files.check_directory(directory)
        self.directory = directory
        self.anchors = Anchors.load(directory)
        for name in STORES:
            with _files.explained(directory / name):
                (directory / name).mkdir(mode=_files.DIRECTORY_MODE, exist_ok=True)
        self.policy = PolicyStore(
            directory / "policy", keys=[self.anchors.policy_key], deployment=self.anchors.deployment, clock=clock
        )
        self.revocations = RevocationStore(
            directory / "revocations", keys=[self.anchors.revocation_key], clock=clock, freshness=freshness
        )
        self._said: dict[Path, str] = {}
        for store in (self.policy, self.revocations):
            if store.problem is not None:
                self._warn(store, store.problem)
        key = self.anchors.verification_key
        self.trust = Trust(
            {hashlib.sha256(key).digest(): key}, self.policy.policy, self.revocations.is_revoked, VerifiedSignatures()
        )

    def refresh(self) -> bool:
        """Read along with the process that writes the directory; if that fails, the last good file stays in force.

        Returns:
            Whether something new is in force.
        """
        changed = False
        for store in (self.policy, self.revocations):
            try:
                changed |= store.refresh()
                self._said.pop(store.accepted, None)
            except AltsError as error:
                self._warn(store, error)
        return changed

    def _warn(self, store: SignedFileStore[Any], error: AltsError) -> None:
        """Say why a file is not in force: once each time the reason changes, since this is asked at each handshake."""
        if self._said.get(store.accepted) != str(error):
            self._said[store.accepted] = str(error)
            kept = "the last good file stays in force" if store.in_force else "none is in force, and nobody is accepted"
            logger.warning("%s: %s; %s", store.accepted, error, kept)

    def install(self, kind: FileKind, content: bytes) -> bool:
        """Take a file that was pushed; tell whether it is new.

        Raises:
            SignedFileRefused: what was in force stays.
            ConfigurationError: it cannot be written; likewise.
        """
        return self.store(kind).offer(content)

    def sequence(self, kind: FileKind) -> int:
        """Return the sequence number of the file in force; 0: none."""
        current = self.store(kind).in_force
        return 0 if current is None else current.header.sequence

    def content(self, kind: FileKind) -> bytes:
        """Return the bytes of the file in force, for those who distribute it."""
        return _files.read(self.store(kind).accepted, limit=MAX_FILE_SIZE)

    def store(self, kind: FileKind) -> SignedFileStore[Any]:
        """Return the store of a kind of file.

        Raises:
            ConfigurationError: there is no such kind.
        """
        stores: dict[int, SignedFileStore[Any]] = {POLICY: self.policy, REVOCATIONS: self.revocations}
        if kind not in stores:
            raise ConfigurationError("no such kind of file")
        return stores[kind]

    def still_trusts(self, peer: Peer) -> bool:
        """Tell whether a peer whose connection lives on would be accepted still, but for expiry (REVOKE-6, TRUST-9)."""
        allowed = self.trust.policy.allows(peer.issuer, peer.category, peer.identity)
        return allowed and all(self.trust.is_revoked(number) is False for number in peer.revocation_ids)


def copy_trust(source: Path, target: Path) -> None:
    """Install a trust directory on a machine: a copy of another's anchors and files (SPEC 13.1.5).

    It appears whole and durably, or not at all: whatever ends this before, it can be done again.

    Raises:
        ConfigurationError: `target` exists, or one of them cannot be read or written.
    """
    with _files.explained(target):
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(mode=_files.DIRECTORY_MODE, parents=True, exist_ok=True)
        for folder in made:
            _files.sync_directory(folder.parent)
        if os.path.lexists(target):  # an empty directory would be taken for none
            raise ConfigurationError(f"{target}: exists already")
    with _files.new_directory(target) as scratch:
        _files.replace(scratch / ANCHORS, _files.read(source / ANCHORS))
        for store in STORES:
            _files.make_directory(scratch / store)
            # in this order: a file that comes in between is newer than the number, not older, and is accepted
            for name in ("highest.json", "accepted"):
                with _files.explained(source / store):
                    there = (source / store / name).exists()
                if there:
                    _files.replace(scratch / store / name, _files.read(source / store / name, limit=MAX_FILE_SIZE))
