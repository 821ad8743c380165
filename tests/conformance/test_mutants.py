"""Mutants: patches apply or fail loudly, a broken copy is loaded and caught, a harmless one survives and fails
the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alts_conformance import HarnessError, _mutants

PATCH = """Mutant: nothing at all is changed
Cases: vectors::frames_of_the_vector_open/record=reference,vector=one-byte
Passes: vectors::bad_frames_of_the_vector_are_refused/record=reference,vector=tag-*
--- a/impl/alts/_record.py
+++ b/impl/alts/_record.py
@@ -1,3 +1,3 @@
-REKEY_INTERVAL = 1 << 16
+REKEY_INTERVAL = 1 << 16  # as it was
"""


def test_every_packaged_patch_applies_and_changes_something(tmp_path: Path) -> None:
    for mutant in _mutants.all_mutants():
        with _mutants.changed_copy(mutant) as copy:
            names = [line[len("+++ b/impl/") :] for line in mutant.diff.splitlines() if line.startswith("+++ b/")]
            assert names, mutant.name
            for name in names:
                changed = (copy / name).read_text()
                assert changed != (_mutants.source_root() / name).read_text(), mutant.name
                compile(changed, name, "exec")


@pytest.mark.req("REC-5", "HS-7", "HS-9", "POLICY-2", "REC-8", "CRED-4")
def test_the_six_breakages_that_must_be_caught_are_there() -> None:
    names = {mutant.name for mutant in _mutants.all_mutants()}
    wanted = {"skip-tag-check", "skip-finished", "accept-any-policy", "frozen-counter", "ignore-chain"}
    assert wanted | {"wrong-direction-bit"} <= names


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("REKEY_INTERVAL = 1 << 16", "REKEY_INTERVAL = 1 << 99"), "applies at 0 places"),
        (("-REKEY_INTERVAL = 1 << 16", "-"), "places"),
        (("_record.py", "_no_such_file.py"), "_no_such_file.py"),
        (("@@ -1", "!! -1"), "not a line of a diff"),
    ],
)
def test_a_patch_that_does_not_apply_fails(change: tuple[str, str], complaint: str) -> None:
    mutant = _mutants.read_patch("bad", PATCH.replace(*change))
    with pytest.raises(HarnessError, match=complaint), _mutants.changed_copy(mutant):
        pass


@pytest.mark.parametrize("line", ["Mutant", "Cases", "Passes"])
def test_a_patch_without_a_header_fails(line: str) -> None:
    with pytest.raises(HarnessError, match="header"):
        _mutants.read_patch("bad", PATCH.replace(f"{line}:", "Other:"))


def test_the_copy_is_named_to_the_peer_for_the_time_being_only() -> None:
    assert "OPENALTS_REFERENCE_SOURCE" not in os.environ
    with _mutants.changed_copy(None) as copy:
        assert os.environ["OPENALTS_REFERENCE_SOURCE"] == str(copy)
    assert "OPENALTS_REFERENCE_SOURCE" not in os.environ
    assert not copy.exists()


def run_mutants(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "alts_conformance.cli",
        "conform",
        "--mutants",
        "--report",
        str(folder),
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_mutants_are_listed_without_a_run(tmp_path: Path) -> None:
    done = run_mutants(tmp_path, "--list")
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [m.name for m in _mutants.all_mutants()]
    assert not list(tmp_path.iterdir())


@pytest.mark.req("REC-8")
def test_a_mutant_is_caught(tmp_path: Path) -> None:
    done = run_mutants(tmp_path, "--case", "no-rekey")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught   no-rekey" in done.stdout
    assert "unchanged copy" in done.stdout
    assert ", 0 not well" in done.stdout


def run_planted(folder: Path, name: str, patch: str) -> subprocess.CompletedProcess[str]:
    """The command with one planted mutant instead of the packaged ones."""
    driver = (
        "import sys; from alts_conformance import _mutants, cli; "
        f"_mutants.all_mutants = lambda: [_mutants.read_patch({name!r}, {patch!r})]; "
        f"sys.exit(cli.main(['conform', '--mutants', '--report', {str(folder)!r}]))"
    )
    return subprocess.run([sys.executable, "-c", driver], capture_output=True, text=True, timeout=100, check=False)


def test_a_mutant_that_survives_fails_the_run(tmp_path: Path) -> None:
    done = run_planted(tmp_path, "harmless", PATCH)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "SURVIVED harmless" in done.stdout


OLD, NEW = "-REKEY_INTERVAL = 1 << 16\n", "+REKEY_INTERVAL = 1 << 16  # as it was\n"
DIES = OLD + "+import os, sys\n+if 'reference' in ' '.join(sys.argv):\n+    os._exit(5)\n" + OLD.replace("-", "+")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (OLD + "+REKEY_INTERVAL = 1 <<< 16\n", "the copy cannot be imported: SyntaxError"),
        (OLD + "+REKEY_INTERVAL = no_such_name\n", "the copy cannot be imported: NameError"),
        (DIES, "crash: peer reference ended by itself (exit code 5)"),
    ],
)
def test_a_mutant_that_is_broken_through_and_through_is_not_caught(tmp_path: Path, change: str, complaint: str) -> None:
    done = run_planted(tmp_path, "broken", PATCH.replace(OLD + NEW, change))
    assert done.returncode == 3, done.stdout + done.stderr
    assert complaint in done.stdout
    assert "caught   broken" not in done.stdout
    assert "0 caught, 0 survived, 1 unclear" in done.stdout


def test_a_crash_that_is_asked_for_is_caught(tmp_path: Path) -> None:
    patch = PATCH.replace("Passes:", "Expect: crash\nPasses:").replace(OLD + NEW, DIES)
    passes = "service::two_streams_agree/handshaker=reference\n--- "
    patch = patch[: patch.index("Passes: ")] + f"Passes: {passes}" + patch.partition("\n--- ")[2]
    done = run_planted(tmp_path, "dies", patch)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught   dies" in done.stdout


def test_an_unrelated_case_must_pass(tmp_path: Path) -> None:
    unrelated = "Passes: vectors::frames_of_the_vector_open/record=reference,vector=client-first-frames"
    lines = [unrelated if line.startswith("Passes: ") else line for line in PATCH.splitlines()]
    patch = "\n".join(lines).replace("REKEY_INTERVAL = 1 << 16  # as it was", "REKEY_INTERVAL = 1") + "\n"
    done = run_planted(tmp_path, "too-much", patch)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "client-first-frames has nothing to do with it, and does not pass" in done.stdout


@pytest.mark.parametrize("line", ["Expect: hang", "Expext: crash"])
def test_a_header_with_nonsense_fails(line: str) -> None:
    with pytest.raises(HarnessError, match="broken"):
        _mutants.read_patch("broken", PATCH.replace("Passes:", f"{line}\nPasses:"))


def test_no_mutant_fits(tmp_path: Path) -> None:
    done = run_mutants(tmp_path, "--case", "nothing")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
