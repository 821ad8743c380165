"""`alts conform` as a process: exit codes, reports, reproduction, hangs, crashes, known findings."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from alts_conformance import HarnessError, Verdict, _case, _peers, _report, cli
from alts_conformance._runner import Options, Result, Runner, drive
from alts_conformance._verdict import Attempt
from tests.conformance.fakes import write_fakes
from tests.conformance.test_verdicts import INSTANCE

SEED = "11"


def alts(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder with its own report directory."""
    command = [sys.executable, "-m", "alts_conformance.cli", *arguments]
    env = {**os.environ, "PYTHONPATH": str(folder), **environment}
    env.pop("CI", None)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False)


def conform(
    folder: Path, case: str, *more: str, mode: str = "good", peer: str = "fake", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run planted cases against the fake peer."""
    fixed = [*planted(folder, case, mode, peer), "--seed", SEED, "-j", "1", "--report", str(folder / "out")]
    return alts(folder, *fixed, *more, **environment)


def planted(folder: Path, case: str, mode: str = "good", peer: str = "fake") -> list[str]:
    """The words of the command that runs planted cases."""
    driver = f"fake=server,insecure:{write_fakes(folder)} {mode}"
    return ["conform", "--cases", "planted", "--driver", driver, "--peer", peer, "--case", case]


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


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        ("accepts-anything", "fail"),
        ("odd-canary", "fail"),
        ("other-protocol", "fail"),
        ("other-capabilities", "fail"),
        ("refuses-hello", "fail"),
        ("does-not-start", "crash"),
        ("mute", "hang"),
    ],
)
def test_a_peer_that_does_not_start_as_it_should_is_a_finding(tmp_path: Path, mode: str, verdict: str) -> None:
    done = conform(tmp_path, "planted::asks_the_server", "--known", "none", mode=mode)
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(tmp_path) == [verdict, verdict]
    assert "peer fake" in done.stdout
    assert "skipped" not in done.stdout


def test_the_reference_that_does_not_start_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "alts").mkdir()
    (tmp_path / "alts" / "__init__.py").write_text("raise RuntimeError('planted')\n")
    arguments = ["conform", "--case", "vectors::frames_of_the_vector_open", "--known", "none", "--seed", SEED]
    source = {"OPENALTS_REFERENCE_SOURCE": str(tmp_path)}
    # The package must not be in the command's own path: there it is the opponents' and is not changed.
    done = alts(tmp_path / "alts", *arguments, "--report", str(tmp_path / "out"), **source)
    assert done.returncode == 1, done.stdout + done.stderr
    assert set(verdicts(tmp_path)) == {"crash"}
    assert "peer reference ended by itself" in done.stdout


def test_the_reference_that_cannot_run_here_is_never_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_peers, "unavailable", lambda peer: "planted" if peer.name == "reference" else None)
    case = "rpc::unary_call_carries_every_size/*size=1"
    fixed = ["conform", "--case", case, "--known", "none", "--seed", SEED, "--report", str(tmp_path / "out")]
    monkeypatch.delenv("CI", raising=False)
    for more in ([], ["--peer", "grpc-core"]):
        assert cli.main([*fixed, *more]) == 3
        assert "SKIPPED peer reference: planted" in capsys.readouterr().out
        assert sorted(verdicts(tmp_path)) == sorted(["pass", *["skipped"] * (2 if more else 3)])


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        ("no-port", "fail"),
        ("port-in-words", "fail"),
        ("more-than-asked", "fail"),
        ("ok-in-words", "fail"),
        ("no-json", "fail"),
        ("no-object", "fail"),
        ("another-id", "fail"),
        ("cut-short", "crash"),
    ],
)
def test_a_malformed_answer_is_the_peers_fault(tmp_path: Path, mode: str, verdict: str) -> None:
    done = conform(tmp_path, "planted::asks_the_server/server=fake,size=1", "--known", "none", mode=mode)
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(tmp_path) == [verdict]
    assert "peer fake" in report(tmp_path)["results"][0]["message"]


def test_a_dead_worker_costs_one_instance(tmp_path: Path) -> None:
    done = conform(tmp_path, "planted::*", "--profile", "doomed", "--known", "none")
    assert done.returncode == 3
    assert verdicts(tmp_path) == ["harness", "pass", "pass", "pass"]
    assert "the worker ended" in done.stdout


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    case = "planted::makes_a_realm/server=fake,then=end"
    done = conform(tmp_path, case, "--known", "none", TMPDIR=str(scratch))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(scratch.iterdir())


@contextlib.contextmanager
def waiting_run(folder: Path, scratch: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose case has made a realm, with its keys, below `scratch`, and now waits."""
    words = [*planted(folder, "planted::makes_a_realm/server=fake,then=wait"), "--known", "none"]
    command = [sys.executable, "-m", "alts_conformance.cli", *words, "--report", str(folder / "out")]
    env = {**os.environ, "PYTHONPATH": str(folder), "TMPDIR": str(scratch)}
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not list(scratch.rglob("next_revocation_id.json")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_keys_behind(tmp_path: Path, number: signal.Signals) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with waiting_run(tmp_path, scratch) as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == b"interrupted\n"
    assert not list(scratch.iterdir())
    assert report(tmp_path)["interrupted"] is True


def test_what_a_killed_run_leaves_goes_with_the_next_one(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with waiting_run(tmp_path, scratch) as process:
        case = "planted::makes_a_realm/server=fake,then=end"
        beside = conform(tmp_path, case, "--known", "none", TMPDIR=str(scratch))
        assert beside.returncode == 0, beside.stdout + beside.stderr
        assert list(scratch.rglob("next_revocation_id.json")), "a run beside it takes nothing away"
        process.kill()
        process.communicate(timeout=60)
    assert list(scratch.rglob("next_revocation_id.json"))
    done = conform(tmp_path, case, "--known", "none", TMPDIR=str(scratch))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(scratch.iterdir())


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
        (["-j", "x"], 2),
        (["--retries", "-1", "--list"], 2),
        (["--mutants", "--json"], 2),
        (["--mutants", "--peer", "reference", "--list"], 2),
        (["--mutants", "--case", "no-such-mutant"], 3),
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


def test_a_full_disk_takes_no_result_along(tmp_path: Path) -> None:
    """No file may grow beyond 16 KiB: the report is larger, and one transcript."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("of an earlier run")
    words = [*planted(tmp_path, "planted::has_a_long_transcript"), "--known", "none"]
    command = [sys.executable, "-m", "alts_conformance.cli", *words, "--report", str(tmp_path / "out")]
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384)),
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "report.json cannot be written: File too large" in done.stderr
    assert "1 instances in" in done.stdout
    assert "1 pass" in done.stdout
    assert "1 times no transcript: File too large" in done.stdout
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["junit.xml", "transcripts"]


def test_output_that_cannot_be_written_takes_no_report_along(tmp_path: Path) -> None:
    words = [
        *planted(tmp_path, "planted::always_passes"),
        "--known",
        "none",
        "--json",
        "--report",
        str(tmp_path / "out"),
    ]
    command = [sys.executable, "-m", "alts_conformance.cli", *words]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, cwd=tmp_path, env=env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False
        )
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert verdicts(tmp_path) == ["pass"]


def test_a_fault_of_the_harness_takes_no_result_along() -> None:
    runner = Runner(Options(peers=["fake"], seed=1), lambda result: None)

    async def work() -> None:
        runner.state.results.append(Result(INSTANCE, Attempt(Verdict.PASS), 1))
        raise HarnessError("planted")

    drive(runner, work)
    assert runner.state.fault == "planted"
    summary = _report.Summary(runner.options, _case.Registry(), runner.state.results, {}, {}, [], 1.0, fault="planted")
    assert summary.exit_code(peers_required=False) == 3
    document = _report.as_document(summary)
    jsonschema.validate(document, _report.schema("report"))
    assert document["errors"] == ["the harness failed: planted"]
    assert [result["verdict"] for result in document["results"]] == ["pass"]


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
    assert process.returncode == 130
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
