"""``alts conform --mutants``: broken copies of the implementation must be caught by conformance cases.

Each ``mutants/*.patch`` is a unified diff against ``impl/`` with a header: ``Mutant:`` what is broken, ``Cases:``
globs of the
cases that are run. A patch is applied to a temporary copy, which an out-of-process reference peer and handshaker
service load;
shipped code has no switch that weakens anything. A patch that does not apply any more is a failure of the harness.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from . import _case, _known, _peers, _report
from ._runner import Options, Result, Runner, Worker
from ._terminal import Terminal
from ._verdict import FINDINGS, HarnessError, Verdict


@dataclass(frozen=True, slots=True)
class Mutant:
    """One patch."""

    name: str
    what: str
    cases: tuple[str, ...]
    diff: str


def read_patch(name: str, text: str) -> Mutant:
    """Read a patch file.

    Raises:
        HarnessError: the header is missing or the file holds no diff.
    """
    header, separator, _ = text.partition("\n--- ")
    fields = dict(line.split(": ", 1) for line in header.splitlines() if ": " in line)
    if not separator or not fields.get("Mutant") or not fields.get("Cases"):
        raise HarnessError(f"mutant {name}: the header must have 'Mutant:' and 'Cases:' lines, followed by a diff")
    cases = tuple(fields["Cases"].split())
    return Mutant(name, fields["Mutant"], cases, text[len(header) + 1 :])


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
    with tempfile.TemporaryDirectory(prefix="alts-mutant-") as name:
        root = Path(name)
        shutil.copytree(source_root() / "alts", root / "alts", ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            apply_diff(mutant.diff, root)
        before = os.environ.get(_peers.REFERENCE_SOURCE)
        os.environ[_peers.REFERENCE_SOURCE] = name
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

    asyncio.run(work())
    return runner.state.results


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Run every mutant; 0 if each is caught and the unchanged copy passes, 1 otherwise."""
    mutants = [m for m in all_mutants() if not args.case or _case.matches(m.name, args.case)]
    if not mutants:
        raise HarnessError("no mutant fits: nothing would run")
    folder = args.report.resolve() / "mutants"
    globs = sorted({glob for mutant in mutants for glob in mutant.cases})
    begin = time.monotonic()
    with changed_copy(None):
        results = run_cases(globs, args, folder / "unchanged")
    bad = [r for r in results if r.attempt.verdict in FINDINGS or r.attempt.verdict is Verdict.HARNESS]
    for result in bad:
        terminal.line(f"FAIL unchanged copy: {result.instance.id}: {result.attempt.message}")
    terminal.line(f"unchanged copy: {len(results)} instances, {len(bad)} not well")
    survived = []
    for mutant in mutants:
        started = time.monotonic()
        with changed_copy(mutant):
            results = run_cases(mutant.cases, args, folder / mutant.name)
        caught = [result for result in results if result.attempt.verdict in FINDINGS]
        names = sorted({result.instance.case.id for result in caught})
        faults = [result for result in results if result.attempt.verdict is Verdict.HARNESS]
        verdict = "caught  " if caught else "SURVIVED"
        seconds = time.monotonic() - started
        score = f"{len(caught)} of {len(results)} instances in {seconds:.0f} s: {', '.join(names)}"
        terminal.line(f"{verdict} {mutant.name}: {mutant.what} ({score})")
        for fault in faults:
            terminal.line(f"         harness: {fault.instance.id}: {fault.attempt.message}")
        if not caught:
            survived.append(mutant.name)
    seconds = time.monotonic() - begin
    caught_count = len(mutants) - len(survived)
    terminal.line(f"{len(mutants)} mutants in {seconds:.0f} s: {caught_count} caught, {len(survived)} survived")
    return 1 if survived or bad else 0
