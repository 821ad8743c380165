"""Temporary folders of killed runs, and whose are left alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from alts_conformance import _scratch


def test_only_folders_of_dead_runs_of_ours_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = {tmp_path / name for name in ("alts-x-being-made", "alts-x-file", "alts-x-link", "alts-x-lock-is-a-link")}
    (tmp_path / "alts-x-being-made").mkdir()
    (tmp_path / "alts-x-being-made" / ".lock.new").touch()
    (tmp_path / "alts-x-file").touch()
    (tmp_path / "alts-x-lock-is-a-link").mkdir()
    (tmp_path / "alts-x-lock-is-a-link" / ".lock").symlink_to(tmp_path / "alts-x-file")
    for name in ("alts-x-dead", "alts-y-dead"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock").touch()
    (tmp_path / "alts-x-link").symlink_to(tmp_path / "alts-y-dead")
    with _scratch.scratch_folder("alts-x-") as mine:
        kept |= {mine, tmp_path / "alts-y-dead"}
        assert set(tmp_path.iterdir()) == kept, "made, and the dead one removed"
        assert _scratch.sweep("alts-x-") == [], "its lock is held"
        assert set(tmp_path.iterdir()) == kept
    assert not mine.exists()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert _scratch.sweep("alts-y-") == [], "another user's"
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert _scratch.sweep("alts-y-") == [tmp_path / "alts-y-dead"]
