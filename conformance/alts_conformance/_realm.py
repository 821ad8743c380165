"""The realm of a worker: every identity, good and bad, that the cases need; made anew for every worker."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import alts
from alts import Category
from alts.realm import RealmDirectory

#: Somebody whom no verifier knows: a realm of its own, beside the worker's.
STRANGERS = "strangers"
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Spec:
    """A credential to issue: identity, category, validity relative to now (s), issuer, boundary."""

    identity: str
    category: Category = Category.WORKLOAD
    begin: int = -3600
    end: int | None = None
    issuer: str | None = None
    boundary: str = ""
    revoke: str = ""


#: Credential name -> what it is. ``client`` and ``server`` are what sessions use unless a case says otherwise.
SPECS = MappingProxyType(
    {
        "client": Spec("conformance/client"),
        "server": Spec("conformance/server"),
        "other": Spec("conformance/other"),
        "machine": Spec("conformance/host-1", Category.MACHINE),
        "human": Spec("conformance/alice", Category.HUMAN),
        "expired": Spec("conformance/expired", begin=-2 * _DAY, end=-_DAY),
        "future": Spec("conformance/future", begin=30 * _DAY),
        "mallory": Spec("conformance/network-admin", Category.MACHINE, issuer="conformance/mallory"),
        "revoked": Spec("conformance/revoked", revoke="handshake"),
        "revoked-master": Spec("conformance/revoked-master", revoke="master"),
    }
)


def make(path: Path) -> None:
    """Make the realm and, inside it, the strangers' realm.

    Raises:
        alts.ConfigurationError: a directory cannot be written.
    """
    realm = RealmDirectory.create(path, name="conformance", random=os.urandom)
    now = int(time.time())
    for name, spec in SPECS.items():
        realm.issue(
            name,
            spec.identity,
            spec.category,
            clock=time.time,
            random=os.urandom,
            not_before=now + spec.begin,
            not_after=None if spec.end is None else now + spec.end,
            boundary=spec.boundary,
            issuer=spec.issuer,
        )
        if spec.revoke:
            parsed = realm.credential(name).parsed
            body = parsed.body if spec.revoke == "handshake" else parsed.master_body
            realm = realm.revoke(body.revocation_id)
    strangers = RealmDirectory.create(path.with_name(STRANGERS), name=STRANGERS, random=os.urandom)
    for name in ("client", "server"):
        strangers.issue(name, SPECS[name].identity, Category.WORKLOAD, clock=time.time, random=os.urandom)


def configuration(realm: Path, name: str) -> alts.Configuration:
    """A configuration for an opponent that speaks for a credential of the realm (``strangers/NAME``: of the other)."""
    if name.startswith(STRANGERS + "/"):
        stranger = RealmDirectory.load(realm.with_name(STRANGERS)).credential(name.partition("/")[2])
        return alts.Configuration(stranger, RealmDirectory.load(realm).trust())
    loaded = RealmDirectory.load(realm)
    return alts.Configuration(loaded.credential(name), loaded.trust())
