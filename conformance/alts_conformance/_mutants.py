"""``alts conform --mutants``: broken copies of the implementation must be caught by conformance cases.

Each ``mutants/*.patch`` is a unified diff against ``impl/`` with a header: ``Mutant:`` what is broken, ``Cases:``
globs of the cases that must notice, ``Passes:`` globs of cases that have nothing to do with it and must still pass,
so that a copy which is broken through and through is not taken for a mutant that was caught; ``Expect: crash``
where a crash or hang of the copy is what is asked for. A patch is applied to a temporary copy, which an
out-of-process reference peer and handshaker service load; shipped code has no switch that weakens anything. A patch
that does not apply any more, a copy that cannot be imported, and a crash or hang that was not asked for are
failures of the harness.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from . import _case, _known, _peers, _report
from ._runner import Options, Result, Runner, Worker, drive
from ._scratch import scratch_folder
from ._terminal import Terminal
from ._verdict import FINDINGS, HarnessError, Verdict


@dataclass(frozen=True, slots=True)
class Mutant:
    """One patch."""

    name: str
    what: str
    cases: tuple[str, ...]
    passes: tuple[str, ...]
    diff: str
    expects_crash: bool = False

    @property
    def catching(self) -> frozenset[Verdict]:
        """The verdicts that count as caught."""
        return frozenset({Verdict.CRASH, Verdict.HANG} if self.expects_crash else {Verdict.FAIL})


@dataclass(frozen=True, slots=True)
class Score:
    """What came of one mutant."""

    caught: tuple[str, ...]
    instances: int
    faults: tuple[str, ...]


def read_patch(name: str, text: str) -> Mutant:
    """Read a patch file.

    Raises:
        HarnessError: the header is missing or the file holds no diff.
    """
    header, separator, _ = text.partition("\n--- ")
    fields = dict(line.split(": ", 1) for line in header.splitlines() if ": " in line)
    if not separator or not all(fields.get(field) for field in ("Mutant", "Cases", "Passes")):
        raise HarnessError(f"mutant {name}: the header must have 'Mutant:', 'Cases:' and 'Passes:' lines, then a diff")
    if unknown := sorted(fields.keys() - {"Mutant", "Cases", "Passes", "Expect"}):
        raise HarnessError(f"mutant {name}: the header has unknown lines: {', '.join(unknown)}")
    if fields.get("Expect", "crash") != "crash":
        raise HarnessError(f"mutant {name}: 'Expect:' can only be 'crash'")
    cases, passes = tuple(fields["Cases"].split()), tuple(fields["Passes"].split())
    return Mutant(name, fields["Mutant"], cases, passes, text[len(header) + 1 :], "Expect" in fields)


def all_mutants() -> list[Mutant]:
    """The packaged mutants by name.

    Raises:
        HarnessError: there is none, or one is malformed.
    """
    folder = resources.files("alts_conformance") / "mutants"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".patch")), key=lambda entry: entry.name)
    mutants = [read_patch(entry.name.removesuffix(".patch"), entry.read_text(encoding="utf-8")) for entry in files]
    if not mutants:
        raise HarnessError("there is no mutant: nothing would run")
    return mutants


def apply_diff(diff: str, root: Path) -> None:
    """Apply a unified diff; every hunk's old lines must be in its file exactly once, wherever they have moved to.

    Raises:
        HarnessError: a hunk does not apply, or the diff cannot be read.
    """
    for part in diff.split("--- ")[1:]:
        lines = part.splitlines()
        if len(lines) < 3 or not lines[1].startswith("+++ b/"):
            raise HarnessError("a patch needs '--- a/FILE' and '+++ b/FILE' lines")
        path = root / lines[1].removeprefix("+++ b/").split("\t")[0].removeprefix("impl/")
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise HarnessError(f"a patch names {path.name}: {error.strerror}") from None
        for old, new in hunks(lines[2:]):
            if text.count(old) != 1:
                raise HarnessError(f"a hunk for {path.name} applies at {text.count(old)} places:\n{old}")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


def hunks(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The old and the new text of each hunk.

    Raises:
        HarnessError: a line is none of a diff.
    """
    old: list[str] = []
    new: list[str] = []
    for line in [*lines, "@@ end"]:
        if line.startswith("@@"):
            if old or new:
                yield "\n".join(old) + "\n", "\n".join(new) + "\n"
            old, new = [], []
        elif line.startswith(("-", " ")) or not line:
            old.append(line[1:])
            if not line.startswith("-"):
                new.append(line[1:])
        elif line.startswith("+"):
            new.append(line[1:])
        elif not line.startswith("\\"):
            raise HarnessError(f"not a line of a diff: {line!r}")


def source_root() -> Path:
    """The folder that holds the package ``alts``.

    Raises:
        HarnessError: it is not installed as files.
    """
    spec = importlib.util.find_spec("alts")
    if spec is None or not spec.submodule_search_locations:
        raise HarnessError("the package alts is not installed")
    return Path(next(iter(spec.submodule_search_locations))).parent


@contextmanager
def changed_copy(mutant: Mutant | None) -> Iterator[Path]:
    """A temporary copy of the implementation with the patch applied, named to the reference peer."""
    with scratch_folder("alts-mutant-") as root:
        shutil.copytree(source_root() / "alts", root / "alts", ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            apply_diff(mutant.diff, root)
        before = os.environ.get(_peers.REFERENCE_SOURCE)
        os.environ[_peers.REFERENCE_SOURCE] = str(root)
        try:
            yield root
        finally:
            if before is None:
                del os.environ[_peers.REFERENCE_SOURCE]
            else:
                os.environ[_peers.REFERENCE_SOURCE] = before


def run_cases(globs: Sequence[str], args: argparse.Namespace, folder: Path) -> list[Result]:
    """Run the cases that fit, with whatever copy is named now.

    Raises:
        HarnessError: no case fits, or the harness fails.
    """
    registry = _case.discover()
    peers = {name: _peers.get(name) for name in _peers.BUILTIN}
    for name, peer in peers.items():
        if why := _peers.unavailable(peer):
            raise HarnessError(f"peer {name} cannot run here: {why}")
    everything = registry.instances({name: peer.capabilities for name, peer in peers.items()})
    for glob in globs:
        if not any(_case.matches(instance.id, [glob]) for instance in everything):
            raise HarnessError(f"{glob!r} matches no case")
    chosen = [instance for instance in everything if _case.matches(instance.id, globs)]
    seed = args.seed if args.seed is not None else 1
    known = _known.load(_known.default_path())
    options = Options(list(peers), seed, args.jobs, retries=0, report=folder, known=known)
    _report.prepare(folder)
    runner = Runner(options, lambda result: None)

    async def work() -> None:
        first = await Worker.start(options, probe=False)
        runner.state.versions.update({name: _peers.version_of(peer) for name, peer in peers.items()})
        await runner.run(chosen, first=first)

    drive(runner, work)
    if runner.state.interrupted:
        raise KeyboardInterrupt
    if runner.state.fault is not None:
        raise HarnessError(runner.state.fault)
    return runner.state.results


#: Imported from a changed copy before any case runs: all that the peer and the service load.
_MODULES = ("alts", "alts.aio", "alts.realm", "alts.grpclib_adapter", "alts.handshaker.cli")


def import_problem(copy: Path) -> str | None:
    """Why the copy of the implementation cannot be imported, or None."""
    code = f"import sys, {', '.join(_MODULES)}; sys.exit(not alts.__file__.startswith(sys.argv[1]))"
    env = {**os.environ, **_peers.reference_env()}
    command = [sys.executable, "-c", code, str(copy)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "the copy is not imported within 60 s"
    if done.returncode == 0:
        return None
    return "the copy cannot be imported: " + (done.stderr.strip().splitlines() or ["another one was loaded"])[-1]


def examine(mutant: Mutant, args: argparse.Namespace, folder: Path) -> Score:
    """Run one mutant's cases, those that must notice and those that must not.

    Raises:
        HarnessError: the patch does not apply, or no case fits a glob.
    """
    with changed_copy(mutant) as copy:
        if problem := import_problem(copy):
            return Score((), 0, (problem,))
        results = run_cases([*mutant.cases, *mutant.passes], args, folder)
    caught, faults, instances = set[str](), [], 0
    for result in results:
        name, attempt = result.instance.id, result.attempt
        if _case.matches(name, mutant.passes):
            if attempt.verdict is not Verdict.PASS:
                faults.append(f"{name} has nothing to do with it, and does not pass: {attempt.message}")
            continue
        instances += 1
        if attempt.verdict in mutant.catching:
            caught.add(name)
        elif attempt.verdict in FINDINGS or attempt.verdict is Verdict.HARNESS:
            faults.append(f"{name}: {attempt.verdict}: {attempt.message}")
    return Score(tuple(sorted(caught)), instances, tuple(faults))


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Run every mutant; 0 if each is caught and the unchanged copy passes, 1 if not, 3 if that cannot be told."""
    mutants = [m for m in all_mutants() if not args.case or _case.matches(m.name, args.case)]
    if not mutants:
        raise HarnessError("no mutant fits: nothing would run")
    if args.list:
        for mutant in mutants:
            terminal.line(f"{mutant.name}: {mutant.what}")
        return 0
    folder = args.report.resolve() / "mutants"
    globs = sorted({glob for mutant in mutants for glob in (*mutant.cases, *mutant.passes)})
    begin = time.monotonic()
    with changed_copy(None):
        results = run_cases(globs, args, folder / "unchanged")
    bad = [r for r in results if r.attempt.verdict in FINDINGS or r.attempt.verdict is Verdict.HARNESS]
    for result in bad:
        terminal.line(f"FAIL unchanged copy: {result.instance.id}: {result.attempt.message}")
    terminal.line(f"unchanged copy: {len(results)} instances, {len(bad)} not well")
    survived, unclear = [], []
    for mutant in mutants:
        started = time.monotonic()
        score = examine(mutant, args, folder / mutant.name)
        verdict = "UNCLEAR " if score.faults else "caught  " if score.caught else "SURVIVED"
        names = sorted({name.partition("/")[0] for name in score.caught})
        seconds = time.monotonic() - started
        text = f"{len(score.caught)} of {score.instances} instances in {seconds:.0f} s: {', '.join(names)}"
        terminal.line(f"{verdict} {mutant.name}: {mutant.what} ({text})")
        for fault in score.faults:
            terminal.line(f"         harness: {fault}")
        if score.faults:
            unclear.append(mutant.name)
        elif not score.caught:
            survived.append(mutant.name)
    seconds = time.monotonic() - begin
    caught_count = len(mutants) - len(survived) - len(unclear)
    parts = [f"{caught_count} caught", f"{len(survived)} survived", *([f"{len(unclear)} unclear"] if unclear else [])]
    terminal.line(f"{len(mutants)} mutants in {seconds:.0f} s: {', '.join(parts)}")
    if unclear or any(result.attempt.verdict is Verdict.HARNESS for result in bad):
        return 3
    return 1 if survived or bad else 0
