"""The walk-through runs, and every step of it is what it should be; a step that is not is told."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

import pytest

from alts_conformance import _walkthrough_realm, walkthrough
from alts_conformance._walkthrough_realm import HarnessError, Step, until

if TYPE_CHECKING:
    from pathlib import Path


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
    assert walkthrough.run(argparse.Namespace(keep=tmp_path / "kept")) == 3, "the directory must not exist"


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
