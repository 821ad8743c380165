"""Databases that are older than what others rely on, or gone: the service says so and does not start."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts import ConfigurationError, Environment
from alts.realm import _files
from alts.services import (
    Beliefs,
    Caller,
    CrlCore,
    CrlService,
    CrlSettings,
    SigningCore,
    StoreError,
    found,
    revocation_signer,
)
from alts.services._store import require_database
from alts_schema.issuance_pb2 import REVOCATIONS, FetchFileRequest, RevokeRequest
from tests.impl.services_world import CA, NODE, NOW, OPERATOR, peer
from tests.impl.test_services_processes import Processes, command

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = Environment(lambda: float(NOW), os.urandom)


class Crl:
    """The CRL service of a founded realm, in this process."""

    def __init__(self, state: Path) -> None:
        key = Ed25519PrivateKey.from_private_bytes(_files.read_key(state / "revocation.key"))
        settings = CrlSettings((CA,), (OPERATOR,))
        self.core = CrlCore(state / "service.sqlite", ENVIRONMENT.clock, revocation_signer(key), settings)
        self.beliefs = Beliefs(state / "trust", ENVIRONMENT.clock)

    def service(self) -> CrlService:
        return CrlService(self.core, self.beliefs, lambda _: True)

    def revoke(self, number: int) -> None:
        self.core.revoke(RevokeRequest(revocation_ids=[2 << 56 | number]), peer(OPERATOR))


def remove(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Of the CRL service; `backup` beside it has its database from before three revocations."""
    found(tmp_path / "realm", "realm", ENVIRONMENT)
    state = tmp_path / "realm/crl"
    crl = Crl(state)
    crl.core.grant(100, peer(CA))
    crl.core.close()
    shutil.copy(state / "service.sqlite", tmp_path / "backup")
    crl = Crl(state)
    service = crl.service()
    crl.core.grant(100, peer(CA))
    for number in range(3):
        crl.revoke(number)
        service.publish()
    assert crl.beliefs.sequence(REVOCATIONS) == 4
    crl.core.close()
    return state


@pytest.mark.req("REVOKE-3", "REVOKE-7")
@pytest.mark.parametrize("lost", ["restored", "gone"])
def test_a_crl_service_does_not_start_with_a_database_older_than_the_file_in_force(
    state: Path, tmp_path: Path, lost: str
) -> None:
    kept = Crl(state)
    kept.service()
    kept.core.close()
    remove(state / "service.sqlite")
    if lost == "restored":
        shutil.copy(tmp_path / "backup", state / "service.sqlite")
    crl = Crl(state)
    with pytest.raises(ConfigurationError, match=r"knows of revocation file [01], and 4 is in force"):
        crl.service()
    crl.core.close()


@pytest.mark.req("REVOKE-7")
def test_a_newer_file_that_appears_under_a_running_service_makes_it_publish_nothing(
    state: Path, tmp_path: Path
) -> None:
    newest = (state / "trust/revocations/accepted").read_bytes()
    remove(state / "service.sqlite")
    shutil.copy(tmp_path / "backup", state / "service.sqlite")
    shutil.rmtree(state / "trust")
    shutil.copytree(tmp_path / "realm/trust", state / "trust")
    crl = Crl(state)
    service = crl.service()  # the whole directory is from the backup: nothing here knows better
    crl.beliefs.install(REVOCATIONS, newest)
    crl.revoke(9)
    with pytest.raises(ConfigurationError, match="restored from a backup"):
        service.publish()
    publication = crl.core.publication()
    assert publication is not None
    assert publication.sequence == 1, "no second file has a number that was used"
    crl.core.close()


@pytest.mark.req("REVOKE-7")
def test_a_machine_that_has_a_newer_file_than_was_ever_made_is_told_of(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    crl = Crl(state)
    service = crl.service()
    caller = Caller(peer(NODE), bytes(32))

    async def ask() -> None:
        for number in (4, 5, 5, 3, 7):
            await service._fetch(FetchFileRequest(kind=REVOCATIONS, after_sequence=number), caller)

    with caplog.at_level(logging.WARNING, "alts.services"):
        asyncio.run(ask())
    said = [record.getMessage().partition(",")[0] for record in caplog.records]
    assert said == [f"{NODE} has revocation file {number}" for number in (5, 7)]
    crl.core.close()


@pytest.mark.req("CRED-4", "ISSUE-2")
def test_a_signing_service_has_the_realms_root_key_or_none(tmp_path: Path) -> None:
    anchors = found(tmp_path / "realm", "realm", ENVIRONMENT)
    database = tmp_path / "realm/signing/service.sqlite"
    core = SigningCore(require_database(database), ENVIRONMENT.clock, ENVIRONMENT.random)
    core.require_root(anchors.verification_key)
    core.close()
    remove(database)
    with pytest.raises(StoreError, match="is missing"):
        require_database(database)
    core = SigningCore(database, ENVIRONMENT.clock, ENVIRONMENT.random)
    with pytest.raises(ConfigurationError, match="not the realm's"):
        core.require_root(anchors.verification_key)
    core.close()


@pytest.mark.req("CRED-4", "REVOKE-3")
def test_services_without_their_databases_make_no_new_ones(tmp_path: Path) -> None:
    realm = Processes(tmp_path)
    for name in ("signing", "crl"):
        database = realm.realm / name / "service.sqlite"
        kept = database.read_bytes()
        remove(database)
        done = command(name, "--state", database.parent, "--book", realm.book)
        assert (done.returncode, f"{database}: is missing" in done.stderr) == (3, True), done.stderr
        assert not database.exists()
        database.write_bytes(kept)
        database.chmod(0o600)
    try:
        assert realm.service("signing")["identity"] == "realm/signing"
    finally:
        realm.end_all()
    (tmp_path / "other").mkdir()
    other = Processes(tmp_path / "other")
    shutil.copy(other.realm / "signing/service.sqlite", realm.realm / "signing/service.sqlite")
    done = command("signing", "--state", realm.realm / "signing", "--book", realm.book)
    assert (done.returncode, "not the realm's" in done.stderr) == (3, True), done.stderr
