"""The walk-through runs, and every step of it is what it should be; a step that is not is told."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alts_conformance import _walkthrough_realm, walkthrough
from alts_conformance._walkthrough_realm import HarnessError, Step, until


@pytest.mark.timeout(400)
@pytest.mark.req(
    "TRUST-1",
    "TRUST-2",
    "TRUST-3",
    "TRUST-5",
    "TRUST-6",
    "TRUST-9",
    "CRED-3",
    "CRED-5",
    "CRED-6",
    "ISSUE-1",
    "ISSUE-2",
    "ISSUE-3",
    "ISSUE-4",
    "ISSUE-5",
    "ISSUE-7",
    "ISSUE-8",
    "ISSUE-9",
    "POLICY-3",
    "REVOKE-6",
    "REVOKE-7",
    "RES-4",
    "RES-5",
)
def test_the_walk_through(tmp_path: Path) -> None:
    steps = asyncio.run(walkthrough.walk(tmp_path))
    assert len(steps) == 21
    assert [step.text for step in steps if not step.right] == []
    told = steps[1].text.rpartition(": ")[2].split(", ")
    assert sorted(told) == [
        "ca on realm/ca",
        "cluster-master on realm/cluster-master",
        "crl on realm/crl",
        "daemon on machines/node-1",
        "daemon on realm/cluster-master",
        "signing on realm/signing",
    ]


@pytest.mark.parametrize(("right", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_says_whether_all_was_right(
    right: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def walk(self: walkthrough.Walk) -> None:
        self.step("one", True)
        self.step("two", right)

    monkeypatch.setattr(walkthrough.Walk, "walk", walk)
    assert walkthrough.run(argparse.Namespace(keep=None)) == code
    printed = capsys.readouterr().out
    assert ("WRONG: two" in printed) is not right


def test_what_never_happens_is_a_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def wait(self: walkthrough.Walk) -> None:
        await until("the end of time", lambda: None)

    monkeypatch.setattr(_walkthrough_realm, "PATIENCE", 0.05)
    monkeypatch.setattr(walkthrough.Walk, "bring_up", wait)
    assert walkthrough.run(argparse.Namespace(keep=None)) == 1
    assert "WRONG: waited 0.05 s for: the end of time" in capsys.readouterr().out


def test_what_does_not_start_is_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def walk(self: walkthrough.Walk) -> None:
        await self.realm.start("none", "alts.services.no_such_module")

    monkeypatch.setattr(walkthrough.Walk, "walk", walk)
    assert walkthrough.run(argparse.Namespace(keep=tmp_path / "kept")) == 3
    assert "did not start" in capsys.readouterr().err
    assert walkthrough.run(argparse.Namespace(keep=tmp_path / "kept")) == 2, "the directory must not exist"
    assert capsys.readouterr().err == f"alts walkthrough: --keep {tmp_path / 'kept'}: exists already\n"
    assert walkthrough.run(argparse.Namespace(keep=tmp_path / "none/kept")) == 3
    assert "No such file or directory" in capsys.readouterr().err


def test_processes_are_ended_when_the_harness_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: walkthrough.Walk) -> None:
        await self.realm.command("found", tmp_path / "realm", "--realm", "realm")
        await self.realm.serve("signing", "signing", "--state", tmp_path / "realm/signing", "--enter")
        raise HarnessError("enough")

    monkeypatch.setattr(walkthrough.Walk, "bring_up", fail)
    steps: list[Step] = []
    walk = walkthrough.Walk(tmp_path, steps.append)
    with pytest.raises(HarnessError, match="enough"):
        asyncio.run(walk.walk())
    assert walk.realm.processes == []


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that know the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, environment = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue  # it has gone
        if os.fsencode(folder) in words + environment:
            found.append(words.replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        (0, [signal.SIGINT]),
        (1, [signal.SIGINT]),
        (2, [signal.SIGTERM]),
        (6, [signal.SIGINT]),
        (6, [signal.SIGINT, signal.SIGINT]),
        (9, [signal.SIGINT]),
    ],
)
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, lines: int, numbers: list[signal.Signals]) -> None:
    """As a terminal does it: everybody in the group gets the signal, after so many lines of the story."""
    command = [sys.executable, "-m", "alts_conformance.cli", "walkthrough"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        assert process.stdout is not None  # a pipe
        while not list(tmp_path.iterdir()):
            assert process.poll() is None
        for _ in range(lines):
            assert process.stdout.readline()
        for number in numbers:
            os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert errors == "interrupted\n"
    assert process.returncode == 130


def test_a_reader_that_goes_away_ends_the_walk(tmp_path: Path) -> None:
    command = f"{sys.executable} -m alts_conformance.cli walkthrough | head -1; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["/bin/bash", "-c", command], capture_output=True, text=True, env=environment, timeout=100, check=False
    )
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (3, "", 1)
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def sockets() -> set[str]:
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add(os.readlink(path))
        except OSError:
            continue  # the one that lists them
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.timeout(400)
def test_an_interrupted_walk_closes_its_sockets(tmp_path: Path) -> None:
    """Cancelled, as Ctrl-C does it, in the midst of calls."""

    async def main() -> set[str]:
        before = sockets()

        def tell(step: Step) -> None:
            if "resumes the session" in step.text:
                asyncio.get_running_loop().call_later(0.5, task.cancel)

        task = asyncio.ensure_future(walkthrough.walk(tmp_path, tell))
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(10):  # closing takes a few turns of the loop
            await asyncio.sleep(0)
        return sockets() - before

    assert asyncio.run(main()) == set()
