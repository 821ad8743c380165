"""The services as processes: their command lines, their ends, and `kill -9` while machines enrol."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from alts.services import (
    AddressBook,
    CaCore,
    Machine,
    RequestRefused,
    SigningCore,
    Status,
    copy_trust,
    default_policy,
    totp_code,
)
from alts.services.cli import SYSTEM, load_token
from alts.services.cli._clear import channel_in_clear

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
MASK = (1 << 56) - 1
PASSWORD = "correct horse battery staple"


def command(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "alts.services", *map(str, words)]
    return subprocess.run(
        arguments, input=given, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False
    )


def printed(*words: str | Path, given: str = "") -> str:
    done = command(*words, given=given)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Processes:
    """A founded realm and its running services."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.realm = root / "realm"
        self.book = root / "book.json"
        self.running: dict[str, subprocess.Popen[str]] = {}
        printed("issuance", "found", self.realm, "--realm", "realm")

    def start(
        self, name: str, *words: str | Path, state: Path | None = None, log: IO[bytes] | None = None
    ) -> dict[str, object]:
        common = "--state", state or self.realm / name, "--book", self.book, "--print-ready", "--tick", "0.1"
        arguments = [sys.executable, "-m", "alts.services", name, *map(str, (*common, *words))]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True, env=ENVIRONMENT)
        self.running[name] = process
        assert process.stdout is not None
        ready: dict[str, object] = json.loads(process.stdout.readline())
        return ready

    def service(self, name: str) -> dict[str, object]:
        enrol = ["--enrol-listen", "127.0.0.1:0"] if name == "ca" else []
        operator = ["--operator", "corp/olga"] if name == "crl" else []
        return self.start(name, "--enter", *enrol, *operator)

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.running.pop(name)
        process.send_signal(number)
        code = process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
        return code

    def end_all(self) -> list[int]:
        return [self.end(name) for name in list(self.running)]


@pytest.mark.timeout(240)
@pytest.mark.req("REVOKE-3", "REVOKE-4", "ISSUE-3", "ISSUE-6")
def test_services_killed_while_machines_enrol(tmp_path: Path) -> None:
    realm, chance = Processes(tmp_path), random.Random(31)
    for name in ("signing", "crl", "ca"):
        realm.service(name)
    given: list[bytes] = []

    async def enrol(number: int) -> None:
        """Enrol a machine; keep asking with the same token and key while services die and come back."""
        state = tmp_path / f"machine-{number}"
        copy_trust(realm.realm / "trust", state / "trust")
        machine = Machine(state, SYSTEM, AddressBook(realm.book))
        token, book = load_token(tmp_path / f"{number}.token"), AddressBook(realm.book)
        try:
            while machine.agent.master() is None:
                try:
                    await machine.enrol(token, lambda: channel_in_clear(*book.find("enrolment")), attempts=1)
                except RequestRefused as refusal:
                    if refusal.status is not Status.UNAVAILABLE:
                        raise
                except (OSError, TimeoutError):
                    pass
                await asyncio.sleep(0.05)
            master = machine.agent.master()
            assert master is not None
            given.append(master.certificate)
        finally:
            machine.close()

    async def kill() -> None:
        for _ in range(6):
            await asyncio.sleep(chance.random() * 0.5)
            name = chance.choice(["signing", "crl", "ca", "ca"])
            assert await asyncio.to_thread(realm.end, name, signal.SIGKILL) == -9
            await asyncio.to_thread(realm.service, name)

    async def enrol_all() -> None:
        for number in range(8):
            await enrol(number)
            await asyncio.sleep(0.3)

    async def main() -> None:
        await asyncio.gather(kill(), enrol_all())

    try:
        for number in range(8):
            printed("issuance", "token", realm.realm / "ca", f"machines/n{number}", tmp_path / f"{number}.token")
        asyncio.run(main())
    finally:
        codes = realm.end_all()
    assert codes == [0, 0, 0]
    ca = CaCore(realm.realm / "ca/service.sqlite", "realm/ca", SYSTEM.clock, SYSTEM.random)
    signing = SigningCore(realm.realm / "signing/service.sqlite", SYSTEM.clock, SYSTEM.random)
    known = ca.issuing.certificates()
    assert len(given) == 8
    assert set(given) <= {certificate for _, certificate in known} <= {raw for raw, _ in signing.issued()}
    assert len({number & MASK for number, _ in known}) == len(known)
    ca.close()
    signing.close()


@pytest.mark.req("ISSUE-5", "ISSUE-7", "REVOKE-7", "POLICY-1", "CRED-6")
def test_what_people_and_operators_do(tmp_path: Path) -> None:
    realm = Processes(tmp_path)
    try:
        for name in ("signing", "crl", "ca"):
            assert realm.service(name)["identity"] == f"realm/{name}"
        desk = tmp_path / "desk"
        secret = base64.b32decode(
            printed("issuance", "add-user", realm.realm / "ca", "olga", "corp/olga", "--password-stdin", given=PASSWORD)
        )
        printed("issuance", "token", realm.realm / "ca", "machines/desk", tmp_path / "token")
        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
        printed("issuance", "install", realm.realm / "trust", desk)
        assert realm.start("daemon", "--token", tmp_path / "token", "--no-workloads", state=desk)["listen"] == {}
        at = "--machine", desk, "--book", realm.book
        lines = f"{PASSWORD}\n{totp_code(secret, int(time.time()))}\n"
        words = "olga", "corp/olga", tmp_path / "olga", "--password-stdin"
        assert "corp/olga" in printed("issuance", "login", *at, *words, given=lines)
        again = command("issuance", "login", *at, *words, given=lines)
        assert (again.returncode, "second factor" in again.stderr, PASSWORD in again.stderr) == (3, True, False)
        numbers: list[str] = []
        while not numbers:  # the CA reports in the background
            numbers = printed("issuance", "find", realm.realm / "crl", "machines/desk").split()
        revoke = "issuance", "revoke", *at, "--credential", tmp_path / "olga"
        assert json.loads(printed(*revoke, numbers[0])) == {"sequence": 2}
        assert command(*revoke, "nonsense").returncode == 2
        away = command("issuance", "schedule", *at, "--credential", tmp_path / "olga", "prod/a", "machines/desk")
        assert (away.returncode, "cluster-master" in away.stderr) == (3, True)
        policy = tmp_path / "policy.toml"
        policy.write_text('format = 1\ndeployment = "production"\n')
        policy.chmod(0o600)
        publish = "issuance", "publish-policy", realm.realm / "policy-signer", realm.realm / "crl"
        empty = command(*publish, policy)
        assert (empty.returncode, "can never fetch another policy" in empty.stderr) == (1, True)
        policy.write_text(default_policy("realm", "production"))
        assert "policy 2" in printed(*publish, policy)
    finally:
        assert set(realm.end_all()) == {0}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        *(
            ((name, "--state", "none", "--book", "book"), 3, f"alts serve {name}: none: is no state directory")
            for name in ("signing", "crl", "ca", "daemon")
        ),
        (("daemon", "--state", "none", "--book", "book"), 3, "`alts issuance install`"),
        (("issuance", "token", "none", "machines/a", "out"), 3, "token: none: is no state directory"),
        (
            ("issuance", "rotate", "--machine", "none", "--book", "b", "--credential", "c"),
            3,
            "rotate: none: is no state directory",
        ),
        (
            (
                *("cluster-master", "--state", "s", "--agent", "none", "--book", "b", "--cell", "c"),
                *("--workloads", "**", "--may-run", "a=b"),
            ),
            3,
            "none: is no state directory",
        ),
        (("signing", "--book", "book"), 2, "--state"),
        (("crl", "--state", "s", "--book", "b", "--listen", "localhost:1"), 2, "ADDR:PORT"),
        (("crl", "--state", "s", "--book", "b", "--issuer", "a*"), 2, "identity pattern"),
        (("ca", "--state", "s", "--book", "b", "--tick", "0"), 2, "positive"),
        (("ca", "--state", "s", "--book", "b", "--overlap", "-1"), 2, "whole number"),
        (
            ("cluster-master", "--state", "s", "--book", "b", "--cell", "c", "--workloads", "**", "--may-run", "a"),
            2,
            "CLIENT=WORKLOAD",
        ),
        (("daemon", "--state", "s", "--book", "b", "--listen", "127.0.0.1:1"), 2, "unrecognized"),
        (("issuance", "find", "none", "a"), 3, "none"),
        (("issuance",), 2, "WHAT"),
        (("issuance", "token", "none", "machines/*", "out"), 2, "identity: 'machines/*' is not an identity (SPEC 4.3)"),
        (("issuance", "add-user", "none", "a/b", "corp/a"), 2, "name: 'a/b' is not 1 to 63 of"),
        (("issuance", "found", "new", "--realm", "a//b"), 2, "--realm: 'a//b' is not an identity"),
        (("issuance", "found", "new", "--realm", "a", "--deployment", ""), 2, "--deployment: '' is not 1 to 63 of"),
        (("daemon", "--state", "s", "--book", "b", "--boundary", "a b"), 2, "--boundary: 'a b' is not 1 to 63 of"),
    ],
)
def test_wrong_command_lines(tmp_path: Path, words: tuple[str, ...], code: int, says: str) -> None:
    arguments = [sys.executable, "-m", "alts.services", *words]
    done = subprocess.run(
        arguments, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path, timeout=60, check=False
    )
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_starts_on_its_own_machine_and_with_its_own_files_only(tmp_path: Path) -> None:
    realm = Processes(tmp_path)
    wrong = command("ca", "--state", realm.realm / "crl", "--book", realm.book)
    assert (wrong.returncode, "this machine is realm/crl" in wrong.stderr) == (3, True)
    unenrolled = tmp_path / "new"
    printed("issuance", "install", realm.realm / "trust", unenrolled)
    done = command("daemon", "--state", unenrolled, "--book", realm.book)
    assert (done.returncode, "not enrolled" in done.stderr) == (3, True)
    (realm.realm / "signing/service.sqlite").write_bytes(b"damaged" * 1000)
    done = command("signing", "--state", realm.realm / "signing", "--book", realm.book)
    assert (done.returncode, "service.sqlite" in done.stderr, "Traceback" in done.stderr) == (3, True, False)
