"""One process serves from a state directory: a second one says so and ends; `kill -9` makes room."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from alts import ConfigurationError
from alts.services._lock import AGENT, SERVICE, only_process
from tests.impl.test_services_processes import Processes, command, printed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.req("REVOKE-7", "ISSUE-2")
def test_a_second_process_on_a_state_directory_ends(tmp_path: Path) -> None:
    realm = Processes(tmp_path)
    cluster = "--cell", "c", "--workloads", "prod/**", "--may-run", "corp/olga=prod/**"
    try:
        for name in ("signing", "crl", "ca"):
            realm.service(name)
        for name in ("signing", "crl", "ca", "daemon", "cluster-master"):
            state = realm.realm / (name if (realm.realm / name).exists() else "crl")
            words = cluster if name == "cluster-master" else ()
            done = command(name, "--state", state, "--book", realm.book, *words)
            assert (done.returncode, done.stderr) == (
                3,
                f"alts serve {name}: {state}: another process serves from this state directory\n",
            )
        printed("issuance", "token", realm.realm / "ca", "machines/a", tmp_path / "token")  # a command may look in
        assert realm.end("crl", signal.SIGKILL) == -9
        assert realm.service("crl")["identity"] == "realm/crl"
    finally:
        assert set(realm.end_all()) == {0}


def test_the_parts_of_a_directory_are_held_apart(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    with only_process(state, AGENT):
        for _ in range(2):
            with only_process(state, SERVICE):
                pass
        for parts in ((AGENT,), (SERVICE, AGENT)):
            with pytest.raises(ConfigurationError, match="another process serves"), only_process(state, *parts):
                raise AssertionError
        with only_process(state, SERVICE):  # what was not had whole is not held
            pass
    with only_process(state, AGENT, SERVICE):
        assert state.stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / ".agent.lock").symlink_to("elsewhere")
    for state in (tmp_path / "file", tmp_path):
        with pytest.raises(ConfigurationError, match=r"agent\.lock"), only_process(state, AGENT):
            raise AssertionError
