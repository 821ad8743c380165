"""The `alts` command itself, and `alts doctor`."""

from __future__ import annotations

import datetime
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alts_conformance import _case, _commands, _doctor, _known, _peers, cli

_CONSOLE_SCRIPT = "import sys; from alts_conformance.cli import main; sys.exit(main())"


def alts(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "alts_conformance.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    "arguments",
    [[], ["attack"], ["attack", "nonsense"], ["learn"], ["nonsense"], ["serve"], ["serve", "nonsense"]],
)
def test_what_is_not_there_is_a_usage_error(arguments: list[str]) -> None:
    done = alts(*arguments)
    assert done.returncode == _commands.USAGE
    assert "usage: alts" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_command() -> None:
    done = alts("--help")
    assert done.returncode == 0
    for command in _commands.COMMANDS:
        assert command.words[0] in done.stdout
    assert "learn" not in done.stdout


def test_every_command_has_help_of_its_own() -> None:
    for command in _commands.COMMANDS:
        done = alts(*command.words, "--help")
        assert done.returncode == 0, (command, done.stderr)
        assert "usage: alts " + " ".join(command.words) in done.stdout.replace("\n", " ")


def test_a_room_that_cannot_be_imported_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = _commands.Command(("prove",), "alts_no_such_package.cli", "nothing")
    monkeypatch.setattr(_commands, "COMMANDS", (broken,))
    assert cli.main(["prove"]) == _commands.HARNESS
    assert "not available here" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m alts_conformance.cli conform --list | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "::" in done.stdout
    assert "Traceback" not in done.stderr


_FULL = Path("/dev/full")


@pytest.mark.skipif(not _FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("attack", "page"), ("attack", "list"), ("conform", "--list")])
def test_output_that_cannot_be_written_is_one_line_and_no_finding(arguments: tuple[str, ...], unbuffered: str) -> None:
    command = [sys.executable, "-m", "alts_conformance.cli", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with _FULL.open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment, text=True, timeout=60, check=False
        )
    assert done.stderr == f"alts {arguments[0]}: No space left on device\n"
    assert done.returncode == _commands.HARNESS


@pytest.mark.skipif(not _FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_written_is_not_called_done(option: str, unbuffered: str) -> None:
    command = [sys.executable, "-m", "alts_conformance.cli", option]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with _FULL.open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (_commands.HARNESS, "alts: No space left on device\n")


@pytest.mark.parametrize(
    ("arguments", "closed", "code", "error"),
    [
        ("--help", ">&-", 3, "alts: stdout is closed\n"),
        ("attack list", ">&-", 3, "alts attack: stdout is closed\n"),
        ("doctor", ">&- <&-", 3, "alts doctor: stdout is closed\n"),
        ("conform --list --case no::such", "<&-", 3, "0 instances of 0 cases\n"),
        ("attack list", "<&- 2>&-", 0, ""),
        ("prove --no-such-option", "2>&-", 2, ""),
        ("prove --no-such-option", "2>/dev/full", 2, ""),
        ("prove no-such-script", "2>/dev/full", 3, ""),
    ],
)
def test_closed_streams_are_no_traceback(arguments: str, closed: str, code: int, error: str) -> None:
    command = f"{sys.executable} -m alts_conformance.cli {arguments} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, error)


def test_a_mistake_of_ours_is_no_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def mistaken(args: object) -> int:
        raise RecursionError("too\ndeep")

    monkeypatch.setattr(_doctor, "run", mistaken)
    monkeypatch.delenv("OPENALTS_DEBUG", raising=False)
    assert cli.main(["doctor"]) == _commands.HARNESS
    said = capsys.readouterr().err
    assert said == "alts doctor: internal error: RecursionError: too deep (OPENALTS_DEBUG=1 shows where)\n"
    monkeypatch.setenv("OPENALTS_DEBUG", "1")
    with pytest.raises(RecursionError):
        cli.main(["doctor"])


def test_an_interruption_while_a_room_is_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert cli.main(["attack", "list"]) == _commands.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


HOOK = """
import os, signal, sys

class Hook:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == os.environ.get("INTERRUPTED_IMPORT"):
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException:
                if os.environ["SWALLOWED"]:
                    return None
                raise

sys.meta_path.insert(0, Hook)
"""


@pytest.mark.parametrize("prefix", [("-m", "alts_conformance.cli"), ("-c", _CONSOLE_SCRIPT)])
@pytest.mark.parametrize(
    ("arguments", "module", "swallowed"),
    [
        (("--version",), "alts_conformance._commands", ""),
        (("attack", "list"), "argparse", ""),
        (("attack", "list"), "alts_conformance.attacks", ""),
        (("attack", "list"), "alts", ""),
        (("attack", "list"), "cryptography.exceptions", "yes"),
        (("conform", "--list"), "jsonschema", ""),
        (("conform", "--list"), "jsonschema", "yes"),
        (("pki", "policy", "--help"), "alts.policy", ""),
        (("serve", "handshaker"), "grpc", "yes"),
        (("model", "check"), "tlslite", "yes"),
    ],
)
def test_an_interruption_of_any_import_is_one_line(
    tmp_path: Path, prefix: tuple[str, ...], arguments: tuple[str, ...], module: str, swallowed: str
) -> None:
    """SIGINT arrives while a module is looked for; some libraries catch all that happens then."""
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "INTERRUPTED_IMPORT": module, "SWALLOWED": swallowed}
    command = [sys.executable, *prefix, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (_commands.INTERRUPTED, "", "interrupted\n")


def test_the_command_starts_in_its_package_without_anything_heavy() -> None:
    code = "import sys, alts_conformance.cli as c; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split()) - {name.partition(".")[0] for name in bare.stdout.split()}
    assert loaded <= {"alts_conformance", "importlib"}


def test_doctor_looks_at_everything() -> None:
    document = json.loads(alts("doctor", "--json").stdout)
    names = {finding["what"] for finding in document["findings"]}
    assert {"Python", "namespaces", "peer reference", "peer grpc-core", "ProVerif", "cryptography"} <= names


def test_doctor_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_peers.GRPC_CORE_PYTHON, "/nonexistent/python")
    finding = next(finding for finding in _doctor.examine() if finding.what == "peer grpc-core")
    assert not finding.ok
    assert "/nonexistent/python" in finding.detail
    assert finding.remedy


def test_doctor_says_what_alts_prove_does_without_proverif(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it does that."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("ALTS_PROVERIF", raising=False)
    finding = next(finding for finding in _doctor.examine() if finding.what == "ProVerif")
    assert not finding.ok
    assert finding.optional
    assert "`alts prove` uses the built-in engine until then, and `--compare` is SKIPPED" in finding.remedy
    proved = alts("prove", "--json", "resumption_key_theft_reachability.pv")
    assert (proved.returncode, json.loads(proved.stdout)["engine"]) == (0, "builtin")
    compared = alts("prove", "--compare", "resumption_key_theft_reachability.pv")
    assert (compared.returncode, compared.stdout.partition(":")[0]) == (3, "SKIPPED")


@pytest.mark.req("TRUST-6")
def test_the_catalogue() -> None:
    registry = _case.discover()
    assert len(registry.cases) >= 40
    peers = {name: _peers.get(name).capabilities for name in _peers.BUILTIN}
    everything = registry.instances(peers)
    assert len({instance.id for instance in everything}) == len(everything)
    assert {"reference", "grpc-core"} == {peer for instance in everything for peer in instance.subjects}
    assert not _known.complaints(_known.load(_known.default_path()), everything, datetime.date(2026, 1, 1))


def test_cases_run_on_the_reference_against_itself_and_the_wheel() -> None:
    done = alts("conform", "--list", "--peer", "grpc-core", "--case", "rpc::unary_call_carries_every_size")
    pairs = {line.partition("/")[2].rpartition(",")[0] for line in done.stdout.splitlines()}
    assert pairs == {
        "client=grpc-core,server=grpc-core",
        "client=grpc-core,server=reference",
        "client=reference,server=grpc-core",
    }
