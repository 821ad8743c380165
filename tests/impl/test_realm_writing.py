"""Writing into realm directories: several at once, interrupted, on a full disk; no ID comes twice (SPEC 15)."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from alts import ConfigurationError
from alts.realm import RealmDirectory, _files
from tests.impl.realm_tools import RANDOM, issue


def ids(realm: RealmDirectory) -> list[int]:
    """Return the revocation IDs of all certificates; a human's shared one once."""
    found: list[int] = []
    for name in realm.names():
        cert = realm.credential(name).parsed
        found += {cert.body.revocation_id, cert.master_body.revocation_id}
    return found


@pytest.mark.req("REVOKE-3", "REVOKE-4")
def test_several_writers_never_share_a_revocation_id(directory: Path) -> None:
    names = [f"n{number}" for number in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: issue(RealmDirectory.load(directory), name), names))
    realm = RealmDirectory.load(directory)
    assert len(realm.names()) == 26
    assert len(set(ids(realm))) == len(ids(realm)) == 52


@pytest.mark.req("REVOKE-3")
def test_a_counter_from_a_backup_is_refused(directory: Path) -> None:
    path = directory / "next_revocation_id.json"
    before = path.read_bytes()
    issue(RealmDirectory.load(directory), "later")
    path.write_bytes(before)
    with pytest.raises(ConfigurationError, match="would come again"):
        issue(RealmDirectory.load(directory), "again")


def test_used_up_ids_are_refused(directory: Path) -> None:
    (directory / "next_revocation_id.json").write_text(json.dumps({"format": 1, "next": (1 << 56) - 1}))
    with pytest.raises(ConfigurationError, match="used up"):
        issue(RealmDirectory.load(directory), "one-more")


@pytest.mark.req("REVOKE-3")
@pytest.mark.parametrize("call", ["fsync", "rename", "open", "mkdir", "fchmod"])
@pytest.mark.parametrize("action", ["issue", "create"])
def test_a_full_disk_at_any_moment_loses_nothing(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, action: str
) -> None:
    genuine = getattr(os, call)
    for moment in range(80):
        left = moment
        path = tmp_path / f"r{moment}"
        if action == "issue":
            shutil.copytree(directory, path)

        def failing(*args: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return genuine(*args, **keywords)

        refusal = ""
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                if action == "issue":
                    issue(RealmDirectory.load(path), "new")
                else:
                    RealmDirectory.create(path, name="r", random=RANDOM.randbytes)
            except ConfigurationError as error:
                refusal = str(error)
        if call != "open":  # without it a directory cannot be emptied either; what is left is no part of a realm
            assert not list(tmp_path.rglob(".new-*"))
        if path.exists():  # whole, and in use again at once
            realm = RealmDirectory.load(path)
            issue(realm, "afterwards")
            assert len(set(ids(realm))) == len(ids(realm))
        if not refusal:
            break
        assert "No space left" in refusal
    else:
        pytest.fail("the fault was never late enough")
    assert moment > 0


KILLED = """
import os, sys, time
from pathlib import Path
from alts import Category
from alts.realm import RealmDirectory, _files
genuine, left = os.fsync, [int(sys.argv[2])]
def fsync(descriptor):
    genuine(descriptor)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), 9)
os.fsync = fsync
realm = RealmDirectory.load(Path(sys.argv[1]))
realm.issue(sys.argv[3], "shop/killed", Category.WORKLOAD, clock=time.time, random=os.urandom)
"""


@pytest.mark.req("REVOKE-3")
def test_kill_9_at_any_write_reuses_no_id(directory: Path) -> None:
    given_out: list[int] = []
    for moment in range(1, 40):
        command = [sys.executable, "-c", KILLED, str(directory), str(moment), f"n{moment}"]
        done = subprocess.run(command, check=False)
        given_out.append(json.loads((directory / "next_revocation_id.json").read_text())["next"])
        realm = RealmDirectory.load(directory)
        for name in realm.names():
            realm.master(name)  # a credential is whole or not there
        assert len(set(ids(realm))) == len(ids(realm))
        if done.returncode == 0:
            break
        assert done.returncode == -9
    else:
        pytest.fail("it was always killed")
    assert given_out == sorted(given_out)
    assert moment > 5


def test_reading_leaves_nothing_open(directory: Path) -> None:
    """Whatever lies where a file is expected: a file, a directory, nothing."""
    _files.read(directory / "realm.json")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        _files.read(directory)
    with pytest.raises(ConfigurationError, match="is missing"):
        _files.read(directory / "none")
    with pytest.raises(ConfigurationError, match="larger than 1 bytes"):
        _files.read(directory / "realm.json", limit=1)
    opened = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            opened.append(link.readlink())
    assert not [path for path in opened if path.is_relative_to(directory)]
