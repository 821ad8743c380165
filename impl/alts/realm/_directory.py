"""A realm on disk: Signing Service key, policy, revocations and credentials in one directory (SPEC 15).

For tests and research: the keys have no protection but file modes. Clock and randomness are injected.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .._config import Credential
from .._errors import ConfigurationError, PeerViolation
from .._issuer import Issuer, MasterKey, Realm, SigningService
from .._messages import RESUMPTION_ID_SIZE
from .._trust import CATEGORY_SHIFT, HUMAN_LIFETIME, Category, Policy, Rule, Trust, parse_certificate
from . import _files, _resumption_keys
from ._arguments import NAME, REVOCATION_ID, BadArgument, check_boundary, check_identity, check_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._tickets import ResumptionKeys

FORMAT = 1
"""Version of every JSON file of a realm directory."""
MAX_REVOKED_SIZE = 64 << 20
_MAX_TIME = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RealmDirectory:
    """A realm directory as it was when it was loaded.

    Attributes:
        path: of the directory.
        name: of the realm.
        verification_key: raw public key of the Signing Service, 32 bytes (CRED-4).
        policy: who may issue what (POLICY-1).
        revoked: revoked 64-bit IDs (REVOKE-6).
    """

    path: Path
    name: str
    verification_key: bytes = field(repr=False)
    policy: Policy
    revoked: frozenset[int] = field(repr=False)

    @classmethod
    def create(cls, path: Path, *, name: str, random: Callable[[int], bytes]) -> RealmDirectory:
        """Make a realm with a fresh Signing Service and the policy of a test realm; it appears whole or not at all.

        Args:
            path: a directory that does not exist, or is empty.
            name: of the realm.
            random: returns that many unpredictable bytes.

        Raises:
            ConfigurationError: the name is none, something is at `path`, or it cannot be written.
        """
        check_name(name, "name of the realm")
        with _files.explained(path):
            target = Path(os.path.realpath(path))
        realm = Realm(random, now=0)
        signing = realm.signing_service
        with _files.new_directory(target) as scratch:
            for folder in ("signing", "credentials"):
                _files.make_directory(scratch / folder)
            _files.replace(scratch / "signing/ed25519.key", _files.key_bytes(signing.key.private_bytes_raw()))
            _files.replace(scratch / "signing/ed25519.pub", _files.key_bytes(signing.verification_key))
            _write_json(scratch / "policy.json", {"rules": [_rule_json(rule) for rule in realm.policy.rules]})
            _write_json(scratch / "revoked.json", {"revoked": []})
            _write_json(scratch / "next_revocation_id.json", {"next": 1})
            _write_json(scratch / "realm.json", {"name": name})
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> RealmDirectory:
        """Read everything but keys and credentials.

        Raises:
            ConfigurationError: the directory or a file of it is missing, damaged or too open.
        """
        _files.check_directory(path)
        with _files.explained(path):
            if not (path / "realm.json").exists():
                raise ConfigurationError(f"{path}: is no realm directory, it has no realm.json (`alts pki init`)")
        name = _read_json(path / "realm.json", "name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ConfigurationError(f"{path / 'realm.json'}: name")
        for folder in ("signing", "credentials"):
            _files.check_directory(path / folder)
        key = _files.read_key(path / "signing/ed25519.pub", private=False)
        return cls(path, name, key, _read_policy(path / "policy.json"), _read_revoked(path / "revoked.json"))

    def holders(self, revocation_id: int) -> tuple[str, ...]:
        """Return the names of the credentials with this ID, the master certificate's too; damaged ones are left out.

        Raises:
            ConfigurationError: the folder cannot be read, or something else lies in it.
        """
        found = []
        for name in self.names():
            with contextlib.suppress(ConfigurationError):
                if revocation_id in self.credential(name).peer.revocation_ids:
                    found.append(name)
        return tuple(found)

    def trust(self, policy: Policy | None = None) -> Trust:
        """Return what a member of the realm believes, with its own policy if it has one (POLICY-2)."""
        key_id = _key_id(self.verification_key)
        return Trust({key_id: self.verification_key}, policy or self.policy, self.revoked.__contains__)

    def names(self) -> tuple[str, ...]:
        """Return the names of the credentials, sorted. Names with a leading dot are unfinished and left out.

        Raises:
            ConfigurationError: the folder cannot be read, or something else lies in it.
        """
        folder = self.path / "credentials"
        with _files.explained(folder):
            entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
            for entry in entries:
                if not NAME.fullmatch(entry.name) or not entry.is_dir():
                    raise ConfigurationError(f"{entry}: is not a credential")
        return tuple(entry.name for entry in entries)

    def credential(self, name: str) -> Credential:
        """Load a credential. Whether it is valid now is not judged: its peers do that.

        Raises:
            ConfigurationError: there is none of that name, or a file of it is missing, damaged, too open, or
                belongs to another.
        """
        folder = self._folder(name)
        certificate = _files.read(folder / "handshake.cert")
        key = X25519PrivateKey.from_private_bytes(_files.read_key(folder / "x25519.key"))
        try:
            credential = Credential(certificate, key)
        except ConfigurationError as error:
            raise ConfigurationError(f"{folder}: {error}") from None
        if _files.read(folder / "master.cert") != credential.parsed.signed.master:
            raise ConfigurationError(f"{folder / 'master.cert'}: is not the one that handshake.cert was derived from")
        described = _read_json(folder / "credential.json", "identity", "category")
        if described != _description(credential):
            raise ConfigurationError(f"{folder / 'credential.json'}: does not describe handshake.cert")
        return credential

    def master(self, name: str) -> MasterKey:
        """Load the master certificate and key that a credential was derived from.

        Raises:
            ConfigurationError: as `credential`; the key is not the certificate's.
        """
        credential = self.credential(name)
        path = self._folder(name) / "master.key"
        key = Ed25519PrivateKey.from_private_bytes(_files.read_key(path))
        if _public(key) != credential.parsed.master_body.public_key:
            raise ConfigurationError(f"{path}: does not belong to master.cert")
        return MasterKey(credential.parsed.signed.master, key)

    def signing_service(self) -> SigningService:
        """Load the Signing Service's private key.

        Raises:
            ConfigurationError: it is missing, damaged, too open, or not the one of ed25519.pub.
        """
        path = self.path / "signing/ed25519.key"
        service = SigningService(Ed25519PrivateKey.from_private_bytes(_files.read_key(path)))
        if service.verification_key != self.verification_key:
            raise ConfigurationError(f"{path}: does not belong to ed25519.pub")
        return service

    def issue(
        self,
        name: str,
        identity: str,
        category: Category,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        not_before: int | None = None,
        not_after: int | None = None,
        boundary: str = "",
        issuer: str | None = None,
    ) -> Credential:
        """Make a master certificate, a handshake certificate and their keys, and keep them as `name` (ISSUE-1 to -4).

        Args:
            name: of the credential.
            identity: of the entity; a workload's master certificate is good for this identity alone.
            category: kind of entity.
            clock: returns seconds since the epoch.
            random: returns that many unpredictable bytes.
            not_before: seconds since the epoch; None: now.
            not_after: seconds since the epoch; 0: no expiry. None: 20 hours for a human (ISSUE-5), else no expiry.
            boundary: physical boundary, or empty (REC-7).
            issuer: who asks the Signing Service; None: the one that the test policy names for the category. It is not
                judged here but by every peer (POLICY-2).

        Raises:
            ConfigurationError: an argument does not fit SPEC 4.3 to 4.8, the name is taken, or the directory is damaged
                or cannot be written. Nothing is left behind but, at most, revocation IDs that nobody has (and, if the
                very last synchronisation is what failed, the whole credential).
        """
        check_name(name, "name of the credential")
        check_identity(identity, "identity")
        if issuer is not None:
            check_identity(issuer, "issuer")
        check_boundary(boundary)
        folder = self.path / "credentials" / name
        with _files.explained(folder):
            if folder.exists():
                raise ConfigurationError(f"{folder}: exists already")
        begin = int(clock()) if not_before is None else not_before
        end = not_after
        if end is None:
            end = begin + HUMAN_LIFETIME if category is Category.HUMAN else 0
        if not (0 <= begin <= _MAX_TIME and 0 <= end <= _MAX_TIME):
            raise BadArgument("validity: a time before 1970 or too far away")
        if end and begin > end:
            raise BadArgument("validity: it ends before it begins")
        if category is Category.HUMAN and not 0 < end <= begin + HUMAN_LIFETIME:
            raise BadArgument(f"validity: a human's certificate expires, at most {HUMAN_LIFETIME} s later (ISSUE-5)")
        workload = category is Category.WORKLOAD
        source = Issuer(
            issuer or (Realm.CLUSTER_MASTER_NAME if workload else Realm.CA_NAME),
            self.signing_service(),
            random,
            next_id=self._reserve_revocation_ids(2),
        )
        master = source.issue_master(
            source.name if workload else identity,
            category,
            not_before=begin,
            not_after=end,
            workload_identities=(identity,) if workload else (),
        )
        credential = source.issue_handshake(master, identity=identity, boundary=boundary)
        self._keep(name, credential, master)
        return credential

    def revoke(self, revocation_id: int) -> RealmDirectory:
        """Add an ID to revoked.json, durably, and return the realm as it is then (REVOKE-6).

        Raises:
            ConfigurationError: it is no revocation ID, or the directory is damaged or cannot be written.
        """
        if revocation_id >> CATEGORY_SHIFT not in set(Category):
            raise BadArgument(
                f"not a revocation ID: {revocation_id:016x}; the first two digits are 01 (human), 02 or 03 (REVOKE-3)"
            )
        path = self.path / "revoked.json"
        with _files.locked(self.path):
            revoked = _read_revoked(path) | {revocation_id}
            _write_json(path, {"revoked": [f"{number:016x}" for number in sorted(revoked)]})
        return dataclasses.replace(self, revoked=revoked)

    def resumption_keys(self, identity: str) -> ResumptionKeys | None:
        """Load the resumption keys of an identity; None if it has none, and so resumes nothing (CRED-3).

        Raises:
            ConfigurationError: the file is damaged or too open.
        """
        found = _resumption_keys.read(self.path, identity, version=FORMAT)
        return None if found is None else found.keys

    def rotate_resumption_key(
        self, identity: str, *, clock: Callable[[], float], random: Callable[[int], bytes]
    ) -> ResumptionKeys:
        """Add an epoch to the resumption keys of an identity, or make its first, with its IDR (ISSUE-8, ISSUE-9).

        An older epoch is kept while tickets under it can live, at most 8 in all; on disk before it is returned.

        Args:
            identity: of a credential in the realm.
            clock: returns seconds since the epoch.
            random: returns that many unpredictable bytes.

        Raises:
            ConfigurationError: no credential has that identity, or a file is damaged or cannot be written.
        """
        check_identity(identity, "identity")
        described = [self.path / "credentials" / name / "credential.json" for name in self.names()]
        held = sorted({str(_read_json(path, "identity", "category")["identity"]) for path in described})
        if identity not in held:
            there = ", ".join(held) or "none"
            raise ConfigurationError(f"{self.path}: no credential is for {identity!r}; identities: {there}")
        now = int(clock())
        with _files.locked(self.path):
            old = _resumption_keys.read(self.path, identity, version=FORMAT)
            key = random(_files.KEY_SIZE)
            made = (
                old.rotated(key, now) if old else _resumption_keys.new(identity, random(RESUMPTION_ID_SIZE), key, now)
            )
            _resumption_keys.write(self.path, made, version=FORMAT)
        return made.keys

    def _folder(self, name: str) -> Path:
        check_name(name, "name of the credential")
        folder = self.path / "credentials" / name
        with _files.explained(folder):
            if not folder.exists():
                raise ConfigurationError(f"{self.path}: there is no credential {name!r}")
        _files.check_directory(folder)
        return folder

    def _keep(self, name: str, credential: Credential, master: MasterKey) -> None:
        with _files.locked(self.path), _files.new_directory(self.path / "credentials" / name) as scratch:
            _files.replace(scratch / "handshake.cert", credential.certificate)
            _files.replace(scratch / "master.cert", master.certificate)
            _files.replace(scratch / "x25519.key", _files.key_bytes(credential.private_key.private_bytes_raw()))
            _files.replace(scratch / "master.key", _files.key_bytes(master.key.private_bytes_raw()))
            _write_json(scratch / "credential.json", _description(credential))

    def _reserve_revocation_ids(self, count: int) -> int:
        """Return the first of `count` certificate IDs that nobody had or will have: on disk before they are used.

        Raises:
            ConfigurationError: the file is missing, damaged, or older than a certificate of this directory.
        """
        path = self.path / "next_revocation_id.json"
        with _files.locked(self.path):
            first = _read_json(path, "next")
            if type(first) is not int or not 0 < first <= (1 << CATEGORY_SHIFT) - count:
                raise ConfigurationError(f"{path}: next is not a certificate ID, or the IDs are used up")
            if first <= self._highest_certificate_id():
                raise ConfigurationError(f"{path}: is older than a credential here, whose ID would come again")
            _write_json(path, {"next": first + count})
        return first

    def _highest_certificate_id(self) -> int:
        """Return the highest certificate ID in the credentials that can be read; damage is for others to find."""
        highest = 0
        for name in self.names():
            with contextlib.suppress(ConfigurationError, PeerViolation):
                cert = parse_certificate(_files.read(self.path / "credentials" / name / "handshake.cert"))
                taken = (cert.body.revocation_id, cert.master_body.revocation_id)
                highest = max(highest, *(number % (1 << CATEGORY_SHIFT) for number in taken))
        return highest


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _description(credential: Credential) -> dict[str, Any]:
    category = Category(int(credential.parsed.body.category))
    return {"identity": credential.identity, "category": category.name.lower()}


def _rule_json(rule: Rule) -> dict[str, str]:
    return {"issuer": rule.issuer, "category": rule.category.name.lower(), "identity": rule.identity}


def _write_json(path: Path, document: dict[str, Any]) -> None:
    _files.replace(path, _files.json_bytes(document, version=FORMAT))


def _read_json(path: Path, *keys: str, limit: int = _files.MAX_FILE_SIZE) -> Any:
    """Return the value of the one key, or the object with all keys."""
    document = _files.read_json(path, set(keys), version=FORMAT, limit=limit)
    return document[keys[0]] if len(keys) == 1 else document


def _read_policy(path: Path) -> Policy:
    entries = _read_json(path, "rules")
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path}: rules is not a list")
    rules = []
    for number, entry in enumerate(entries, start=1):
        right = isinstance(entry, dict) and set(entry) == {"issuer", "category", "identity"}
        if not right or not all(isinstance(value, str) for value in entry.values()):
            raise ConfigurationError(f"{path}: rule {number} is not an issuer, a category and an identity")
        try:
            rules.append(Rule(entry["issuer"], category_of(entry["category"]), entry["identity"]))
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: rule {number}: {error}") from None
    return Policy(tuple(rules))


def _read_revoked(path: Path) -> frozenset[int]:
    entries = _read_json(path, "revoked", limit=MAX_REVOKED_SIZE)
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path}: revoked is not a list")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, str) or not REVOCATION_ID.fullmatch(entry):
            raise ConfigurationError(f"{path}: entry {number} is not a revocation ID of 16 hexadecimal digits")
    return frozenset(int(entry, 16) for entry in entries)


def category_of(text: str) -> Category:
    """Return the category of that name, in lower case.

    Raises:
        ConfigurationError: there is none.
    """
    for category in Category:
        if category.name.lower() == text:
            return category
    raise ConfigurationError(f"not a category: {text!r}")
