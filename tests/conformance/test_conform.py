"""`alts conform` as a process: exit codes, reports, reproduction, hangs, crashes, known findings."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from alts_conformance import _case, _report
from tests.conformance.fakes import write_fakes

SEED = "11"


def alts(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder with its own report directory."""
    command = [sys.executable, "-m", "alts_conformance.cli", *arguments]
    env = {**os.environ, "PYTHONPATH": str(folder), **environment}
    env.pop("CI", None)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False)


def conform(
    folder: Path, case: str, *more: str, mode: str = "good", peer: str = "fake"
) -> subprocess.CompletedProcess[str]:
    """Run planted cases against the fake peer."""
    driver = f"fake=server,insecure:{write_fakes(folder)} {mode}"
    fixed = [
        "conform",
        "--cases",
        "planted",
        "--driver",
        driver,
        "--peer",
        peer,
        "--case",
        case,
        "--seed",
        SEED,
        "-j",
        "1",
    ]
    return alts(folder, *fixed, "--report", str(folder / "out"), *more)


def report(folder: Path) -> dict[str, Any]:
    """The JSON report, checked against its schema."""
    document: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    jsonschema.validate(document, _report.schema("report"))
    return document


def verdicts(folder: Path) -> list[str]:
    return [result["verdict"] for result in report(folder)["results"]]


def test_a_passing_run_exits_0_and_writes_both_reports(tmp_path: Path) -> None:
    done = conform(tmp_path, "planted::always_passes", "--known", "none")
    assert done.returncode == 0, done.stderr
    assert verdicts(tmp_path) == ["pass"]
    suites = ET.fromstring((tmp_path / "out" / "junit.xml").read_text())
    assert [suite.get("tests") for suite in suites] == ["1"]
    assert "planted::always_passes" in done.stdout


def test_a_failure_exits_1_and_its_command_reproduces_it(tmp_path: Path) -> None:
    done = conform(tmp_path, "planted::always_fails", "--known", "none")
    assert done.returncode == 1
    line = next(text for text in done.stdout.splitlines() if text.startswith("FAIL"))
    assert "[HS-1]" in line
    choice = re.search(r"choice \d+", line)
    assert choice is not None
    command = next(text for text in done.stdout.splitlines() if "reproduce:" in text).partition("reproduce: ")[2]
    words = shlex.split(command)
    assert words[0] == "alts"
    again = alts(tmp_path, *words[1:], "--known", "none")
    assert again.returncode == 1
    assert choice[0] in again.stdout
    assert report(tmp_path)["results"][0]["attempts"] == 3
    assert "<failure" in (tmp_path / "out" / "junit.xml").read_text()


def test_another_seed_makes_other_choices(tmp_path: Path) -> None:
    texts = [
        conform(tmp_path, "planted::always_fails", "--known", "none", "--seed", seed).stdout for seed in ("1", "2")
    ]
    assert len({match[0] for text in texts if (match := re.search(r"choice \d+", text))}) == 2


@pytest.mark.parametrize(
    ("case", "mode", "verdict", "code"),
    [
        ("planted::asks_the_server/server=fake,size=1", "sleeps", "hang", 1),
        ("planted::asks_the_server/server=fake,size=1", "dies", "crash", 1),
        ("planted::asks_the_server", "good", "pass", 0),
        ("planted::never_ends", "good", "hang", 1),
        ("planted::fails_at_first", "good", "flaky", 1),
        ("planted::breaks", "good", "harness", 3),
    ],
)
def test_verdicts(tmp_path: Path, case: str, mode: str, verdict: str, code: int) -> None:
    done = conform(tmp_path, case, "--known", "none", mode=mode)
    assert done.returncode == code, done.stdout + done.stderr
    assert set(verdicts(tmp_path)) == {verdict}


@pytest.mark.parametrize("mode", ["accepts-anything", "odd-canary", "other-protocol"])
def test_a_peer_that_cannot_be_believed_is_skipped_and_nothing_ran(tmp_path: Path, mode: str) -> None:
    done = conform(tmp_path, "planted::always_passes", "--known", "none", mode=mode)
    assert done.returncode == 3
    assert verdicts(tmp_path) == ["skipped"]
    assert "cannot run here" in done.stdout


KNOWN = """[[finding]]
peer = 'fake'
versions = '{0}'
case = '{1}'
expected = 'fail'
reaction = '{2}'
reason = 'a plant of the tests'
"""


@pytest.mark.parametrize(
    ("known", "case", "verdict", "code"),
    [
        (KNOWN.format("<2", "planted::always_fails", "continued"), "planted::always_fails", "known", 0),
        (KNOWN.format("<2", "planted::always_fails", "closed"), "planted::always_fails", "fail", 1),
        (KNOWN.format(">=2", "planted::always_fails", "continued"), "planted::always_fails", "fail", 1),
        (KNOWN.format("<2", "planted::always_passes", "continued"), "planted::always_passes", "fail", 1),
        (KNOWN.format("<2", "planted::no_such_case", "continued"), "planted::always_passes", "pass", 1),
        (KNOWN.format("<2", "planted::always_passes", "continued") + "surplus=1", "planted::always_passes", None, 2),
    ],
)
def test_known_findings(tmp_path: Path, known: str, case: str, verdict: str | None, code: int) -> None:
    (tmp_path / "known.toml").write_text(known)
    done = conform(tmp_path, case, "--known", str(tmp_path / "known.toml"))
    assert done.returncode == code, done.stdout + done.stderr
    if verdict is not None:
        assert verdicts(tmp_path) == [verdict]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--case", "no::such"], 3),
        (["--case", "no::such", "--list"], 3),
        (["--profile", "nonsense"], 2),
        (["--peer", "nobody"], 2),
        (["--executor", "tcp://10.0.0.1:1"], 2),
        (["--cases", "no_such_module"], 3),
        (["--driver", "nonsense"], 2),
        (["-j", "0"], 2),
        (["--no-such-option"], 2),
    ],
)
def test_usage(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = alts(tmp_path, "conform", *arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_written_exits_3(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = conform(tmp_path, "planted::always_passes", "--known", "none", "--report", str(tmp_path / "file" / "below"))
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_exits_3(tmp_path: Path) -> None:
    (tmp_path / "out" / "transcripts").mkdir(parents=True)
    (tmp_path / "out" / "report.json").symlink_to("/dev/full")
    done = conform(tmp_path, "planted::always_passes", "--known", "none")
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_and_json(tmp_path: Path) -> None:
    listed = conform(tmp_path, "planted::*", "--list")
    assert listed.returncode == 0
    assert "planted::asks_the_server/server=fake,size=2" in listed.stdout.splitlines()
    document = json.loads(conform(tmp_path, "planted::always_passes", "--known", "none", "--json").stdout)
    jsonschema.validate(document, _report.schema("report"))


def test_a_missing_peer_fails_where_all_are_required(tmp_path: Path) -> None:
    missing = {"OPENALTS_GRPC_CORE_PYTHON": "/nonexistent/python"}
    driver = f"fake=server,insecure:{write_fakes(tmp_path)}"
    arguments = [
        "conform",
        "--cases",
        "planted",
        "--driver",
        driver,
        "--case",
        "planted::always_passes",
        "--known",
        "none",
    ]
    arguments += ["--report", str(tmp_path / "out"), "--peer", "fake", "--peer", "grpc-core"]
    loose = alts(tmp_path, *arguments, **missing)
    assert loose.returncode == 0, loose.stdout + loose.stderr
    assert "SKIPPED peer grpc-core" in loose.stdout
    assert alts(tmp_path, *arguments, "--require-all-peers", **missing).returncode == 3


def test_an_interrupt_ends_clean_and_leaves_no_process(tmp_path: Path) -> None:
    driver = f"fake=server,insecure:{write_fakes(tmp_path)} sleeps"
    command = [sys.executable, "-m", "alts_conformance.cli", "conform", "--cases", "planted", "--driver", driver]
    command += [
        "--peer",
        "fake",
        "--case",
        "planted::asks_the_server",
        "--report",
        str(tmp_path / "out"),
        "--known",
        "none",
    ]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "alts conform" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "Traceback" not in errors
    needle = str(tmp_path / "fake_driver.py").encode()
    assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if needle in _read(entry)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_every_case_is_in_order() -> None:
    registry = _case.discover()
    for made in registry.cases.values():
        assert not _case.lint(made), made.id


def test_the_packaged_requirements_are_those_of_the_table() -> None:
    assert set(_case.packaged_requirements()) == _case.requirement_ids()
