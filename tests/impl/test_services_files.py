"""Files of a machine that cannot be read or written for a while: what is in force stays, and is mended as it runs."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from alts import ConfigurationError
from alts.realm import _files
from alts.services import Beliefs, FileHolder, bundle_of, copy_trust, found, write_bundle
from alts.services.cli import SYSTEM
from alts_schema.issuance_pb2 import POLICY
from tests.impl.test_services_holder import Machine, clock
from tests.impl.test_services_processes import ENVIRONMENT


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
    read, status = _files.read, os.stat

    def fail(path: Path, *, private: bool = False, limit: int = _files.MAX_FILE_SIZE) -> bytes:
        if path.name == "credential":
            raise ConfigurationError(f"{path}: Too many open files")
        return read(path, private=private, limit=limit)

    def refuse(path: Path) -> os.stat_result:
        if path.name == "credential":
            raise PermissionError(13, "Permission denied")
        return status(path)

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


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the disk be full once so many files or directories are on it."""
    sync, left = os.fsync, after

    def fail(descriptor: int) -> None:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left -= 1
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)


def test_a_disk_that_is_full_leaves_no_half_of_a_trust_directory(tmp_path: Path) -> None:
    source = Machine(tmp_path).trust
    for after in range(100):
        target = tmp_path / str(after) / "trust"
        with pytest.MonkeyPatch.context() as patch:
            full_disk(patch, after)
            try:
                copy_trust(source, target)
                break
            except ConfigurationError as error:
                said = str(error)
        assert "No space left" in said
        if not target.exists():
            assert not list(tmp_path.glob(f"{after}/**/.new-*"))
            copy_trust(source, target)
        assert Beliefs(target, clock).sequence(POLICY) == 1
    assert 10 < after < 99


def test_a_kill_at_any_moment_leaves_no_half_of_a_trust_directory(tmp_path: Path) -> None:
    source, root = tmp_path / "realm/trust", tmp_path / "machines"
    found(tmp_path / "realm", "realm", SYSTEM)
    root.mkdir()
    child = Path(__file__).with_name("services_install_child.py")
    arguments = [sys.executable, str(child), str(source), str(root)]
    done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_a_founded_realm_and_an_installed_trust_directory_are_on_disk_by_name_and_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[int, set[str]] = {}
    sync = os.fsync

    def note(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced[status.st_ino] = set(os.listdir(descriptor)) if stat.S_ISDIR(status.st_mode) else set()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    found(tmp_path / "realm", "realm", SYSTEM)
    copy_trust(tmp_path / "realm/trust", tmp_path / "machines/desk/trust")
    monkeypatch.undo()
    everything = [tmp_path, *tmp_path.rglob("*")]
    assert len(everything) > 30
    for path in everything:
        if path.is_dir():
            assert {entry.name for entry in path.iterdir()} <= synced[path.stat().st_ino], path
        elif path.suffix != ".sqlite" and path.name != ".lock":  # SQLite does it by itself; a lock holds nothing
            assert path.stat().st_ino in synced, path


def test_a_file_that_comes_while_a_trust_directory_is_copied_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path)
    read = _files.read
    between = [lambda: machine.writer.install(POLICY, machine.policy_file(2))]

    def interrupted(path: Path, *, private: bool = False, limit: int = _files.MAX_FILE_SIZE) -> bytes:
        data = read(path, private=private, limit=limit)
        if path.parent.name == "policy" and between:
            between.pop()()
        return data

    monkeypatch.setattr(_files, "read", interrupted)
    copy_trust(machine.trust, tmp_path / "copy")
    monkeypatch.undo()
    assert Beliefs(tmp_path / "copy", clock).sequence(POLICY) in (1, 2)


def test_a_trust_directory_is_not_put_over_anything(tmp_path: Path) -> None:
    source = Machine(tmp_path).trust
    (tmp_path / "0").mkdir()
    (tmp_path / "1").touch()
    (tmp_path / "2").symlink_to("nowhere")
    for name in "012":
        with pytest.raises(ConfigurationError, match="exists already"):
            copy_trust(source, tmp_path / name)
    (source / "anchors.json").unlink()
    with pytest.raises(ConfigurationError, match=r"anchors\.json: is missing"):
        copy_trust(source, tmp_path / "new/trust")
    assert not (tmp_path / "new/trust").exists()
