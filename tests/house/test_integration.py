"""`.ci/run` with commands that only pretend: what stages leave for the last one, `trace`, and what failed ones do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE = """#!/bin/sh
# `make TARGET`: writes the target's records, as the real one does, and fails if it is told to.
mkdir -p build/conform build/attacks
case $1 in
    test) echo new > build/requirements-tests.json ;;
    prove) echo new > build/prove.json ;;
    vectors) echo new > build/vectors.json ;;
    model) echo new > build/model-checks.json; echo new > build/model.json ;;
    conform) echo new > build/conform/report.json ;;
    attacks) echo new > build/attacks/report.json ;;
    trace) echo "$CI" > build/ci; cat build/*.json build/*/report.json > build/seen 2>/dev/null ;;
esac
[ "$1" != "$FAILS" ]
"""
RECORDS = {
    "test": ["requirements-tests.json"],
    "prove": ["prove.json"],
    "vectors": ["vectors.json"],
    "model": ["model-checks.json", "model.json"],
    "conform": ["conform/report.json"],
    "attacks": ["attacks/report.json"],
}
ALL = {name for names in RECORDS.values() for name in names}


def integrated(root: Path, *stages: str, fails: str = "", ci: str = "true") -> tuple[int, str]:
    (root / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", root / ".ci" / "run")
    programs = root / "programs"
    programs.mkdir()
    for path, text in (
        (programs / "make", MAKE),
        *((root / ".venv/bin" / n, "#!/bin/sh\n") for n in ("python", "alts")),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "FAILS": fails, "CI": ci}
    done = subprocess.run(
        [root / ".ci" / "run", *stages], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout


def records(root: Path) -> set[str]:
    return {name for name in ALL if (root / "build" / name).exists()}


def test_every_stage_leaves_its_records_for_the_last_one(tmp_path: Path) -> None:
    code, text = integrated(tmp_path)
    assert code == 0, text
    assert records(tmp_path) == ALL
    assert (tmp_path / "build" / "seen").read_text() == "new\n" * len(ALL)
    stages = re.findall(r"^==> (\w[\w-]*): ", text, re.MULTILINE)
    assert stages[-1] == "trace"


@pytest.mark.parametrize("target", RECORDS)
def test_a_stage_that_failed_leaves_none(target: str, tmp_path: Path) -> None:
    code, text = integrated(tmp_path, fails=target)
    assert code == 1
    assert records(tmp_path) == ALL - set(RECORDS[target])
    assert re.search(r"^trace +passed", text, re.MULTILINE), "it ran all the same"


def test_old_records_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "prove.json").write_text("old\n")
    integrated(tmp_path, "proofs", "trace", fails="prove")
    assert not (tmp_path / "build" / "prove.json").exists()


def test_a_stage_that_is_not_wanted_keeps_its_records(tmp_path: Path) -> None:
    """Whether they are whole and new enough is for `trace` to say, which gets to know where it runs."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "prove.json").write_text("old\n")
    code, text = integrated(tmp_path, "vectors", "trace", ci="")
    assert code == 0, text
    assert (tmp_path / "build" / "seen").read_text() == "old\nnew\n"
    assert (tmp_path / "build" / "ci").read_text() == "true\n"
