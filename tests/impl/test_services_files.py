"""Files of a machine that cannot be read or written for a while: what is in force stays, and is mended as it runs."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from alts import ConfigurationError
from alts.realm import _files
from alts.services import Beliefs, FileHolder, bundle_of, write_bundle
from alts_schema.issuance_pb2 import POLICY
from tests.impl.test_services_holder import Machine, clock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.req("CRED-6")
@pytest.mark.parametrize("fault", ["no descriptor is free", "too open", "the directory is shut"])
def test_a_credential_that_could_not_be_read_is_taken_as_soon_as_it_can(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path)
    directory = tmp_path / "workload"
    first, second = (machine.realm.workload("prod/a") for _ in range(2))
    write_bundle(directory, bundle_of(first))
    holder = FileHolder(directory, machine.trust, clock)
    before = holder.configuration
    write_bundle(directory, bundle_of(second))
    read, stat = _files.read, os.stat

    def fail(path: Path, *, private: bool = False, limit: int = _files.MAX_FILE_SIZE) -> bytes:
        if path.name == "credential":
            raise ConfigurationError(f"{path}: Too many open files")
        return read(path, private=private, limit=limit)

    def refuse(path: Path) -> os.stat_result:
        if path.name == "credential":
            raise PermissionError(13, "Permission denied")
        return stat(path)

    with monkeypatch.context() as patch:
        if fault == "too open":
            (directory / "credential").chmod(0o644)
        elif fault == "no descriptor is free":
            patch.setattr(_files, "read", fail)
        else:
            patch.setattr("alts.services._bundle.os", SimpleNamespace(stat=refuse))
        assert all(holder.configuration is before for _ in range(3))
    (record,) = caplog.records
    assert "the last good credential is used on" in record.getMessage(), "said, and said once"
    (directory / "credential").chmod(0o600)
    assert holder.configuration.credential.certificate == second.certificate
    (directory / "credential").chmod(0o640)
    write_bundle(directory, bundle_of(first))
    (directory / "credential").chmod(0o640)
    assert holder.configuration.credential.certificate == second.certificate
    assert len(caplog.records) == 2, "what happens anew is said anew"


@pytest.mark.req("POLICY-2", "REVOKE-6")
def test_a_file_that_cannot_be_taken_is_said_once_and_again_when_it_happens_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path)
    beliefs = Beliefs(machine.trust, clock)
    accepted = machine.trust / "policy/accepted"
    good = accepted.read_bytes()
    for _ in range(2):
        accepted.write_bytes(good + b"damage")
        assert not any(beliefs.refresh() for _ in range(3))
        assert beliefs.sequence(POLICY) == 1, "what is in force stays"
        accepted.write_bytes(good)
        beliefs.refresh()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all("policy/accepted" in line and "the last good file stays in force" in line for line in said)
    accepted.write_bytes(b"damage")
    caplog.clear()
    Beliefs(machine.trust, clock).refresh()
    (record,) = caplog.records
    assert "nobody is accepted" in record.getMessage()
