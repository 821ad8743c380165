"""The ``alts attack`` command where something goes wrong around the trials: files, and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alts_conformance._verdict import HarnessError
from alts_conformance.attacks import _write, cli
from alts_conformance.attacks._record import Evidence, Outcome, Result
from alts_conformance.cli import main


def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_all", lambda chosen, tell: pytest.fail("a trial ran"))
    (tmp_path / "file").write_text("")
    assert main(["attack", "run", "replay", "--output", str(tmp_path / "file")]) == 3
    assert f"{tmp_path / 'file'} cannot be written: File exists" in capsys.readouterr().err
    full = OSError(28, "No space left on device")

    def write_half(path: Path, text: str, encoding: str) -> None:
        with path.open("w", encoding=encoding) as stream:
            stream.write(text[: len(text) // 2])
        raise full

    monkeypatch.setattr(Path, "write_text", write_half)
    assert main(["attack", "run", "replay", "--output", str(tmp_path / "folder")]) == 3
    assert "folder cannot be written: No space left on device" in capsys.readouterr().err
    assert list((tmp_path / "folder").iterdir()) == []


def test_no_file_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (("prod/frontend", "prod/backend", "ClientInit", ""),)
    results = [
        Result("a", name, "c", Outcome.BLOCKED, Outcome.BLOCKED, Evidence(), 0, steps=steps) for name in ("one", "two")
    ]
    _write.write(tmp_path, [], results)
    whole = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(whole) == 5
    write_text = Path.write_text

    def until_full(path: Path, text: str, encoding: str) -> int:
        if "two.svg" not in path.name:
            return write_text(path, text, encoding=encoding)
        write_text(path, text[:9], encoding=encoding)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", until_full)
    with pytest.raises(HarnessError, match=r"two\.svg cannot be written: No space left on device"):
        _write.write(tmp_path, [], results)
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_nothing_else(tmp_path: Path, number: signal.Signals) -> None:
    # As a terminal does it: everybody in the group gets the signal, in the midst of trials, with the wheel and without.
    with subprocess.Popen(
        [sys.executable, "-m", "alts_conformance.cli", "attack", "run", "kci-dh-key"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # a pipe
        for line in process.stdout:
            if "outcome: works" in line:
                break
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert err == "interrupted\n"
    assert process.returncode == 130
    assert "harness" not in out
    assert list(tmp_path.iterdir()) == []
