"""Mutated scripts: a check, a nonce, a binding or a guard is taken out, and a query must no longer be true.

A `Mutant` names small edits of the sound scripts' fragments. `survey` applies each to a copy of the scripts, asks only
the queries that the mutant must lose, in the smallest scenario that shows it, and asks the same queries of the same
scenario without the edits, where they must be true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from alts_proofs._engines import Engine
from alts_proofs._errors import EngineFailure, ProofsError, UsageError
from alts_proofs._manifest import Manifest, Query, Script
from alts_proofs._outcome import Outcome
from alts_proofs.engine._lexer import tokenize

_LOST = frozenset({"false", "cannot_be_proved"})
_SECONDS = 120.0


class MutationError(ProofsError):
    """A mutant does not apply: its text, its query or its scenario is not there any more."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In `file`, relative to the scripts, `old` becomes `new`. `old` occurs exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A scenario, what is taken out of it, and the queries that are true before and must not be after.

    `script` is a file with expected results, in which `swap` exchanges fragments to make the scenario smaller;
    `queries` are IDs of it.
    """

    name: str
    about: str
    script: str
    edits: tuple[Edit, ...]
    queries: tuple[str, ...]
    swap: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """What an engine said of a mutant, or with `mutant` None of an original; `failure` if it said nothing of use."""

    name: str
    mutant: Mutant | None
    outcomes: tuple[Outcome, ...] = ()
    failure: str | None = None

    @property
    def passed(self) -> bool:
        """A mutant has lost all its queries; an original has none but true ones."""
        if self.failure is not None or not self.outcomes:
            return False
        if self.mutant is None:
            return all(outcome.result == "true" for outcome in self.outcomes)
        return all(outcome.result in _LOST for outcome in self.outcomes)

    @property
    def seconds(self) -> float:
        """Of all its queries."""
        return sum(outcome.seconds or 0.0 for outcome in self.outcomes)

    def line(self) -> str:
        """The trial for people."""
        verdicts = ", ".join(f"{outcome.query.id} {outcome.result}" for outcome in self.outcomes)
        verdict = "ok" if self.passed else "ERROR" if self.failure is not None else "STILL TRUE"
        if verdict == "STILL TRUE" and (self.mutant is None or not any(o.result == "true" for o in self.outcomes)):
            verdict = "NOT TRUE" if self.mutant is None else "NO VERDICT"
        return f"{verdict} {self.name}: {self.failure or verdicts}, {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    mutant: Mutant | None
    script: Script
    edits: tuple[Edit, ...]
    whole: tuple[Query, ...]
    """All queries of the script, wanted or not."""


def choose(mutants: Sequence[Mutant], patterns: Sequence[str]) -> tuple[Mutant, ...]:
    """The mutants that any shell pattern names; all without one. Raises `UsageError` for a pattern that names none."""
    for pattern in patterns:
        if not any(fnmatchcase(mutant.name, pattern) for mutant in mutants):
            raise UsageError(f"no mutant is called {pattern!r}")
    return tuple(m for m in mutants if not patterns or any(fnmatchcase(m.name, pattern) for pattern in patterns))


def survey(
    engine: Engine,
    manifest: Manifest,
    mutants: Sequence[Mutant],
    timeout: float | None = None,
    jobs: int = 1,
    progress: Callable[[Trial], None] = lambda trial: None,
) -> tuple[Trial, ...]:
    """Tries the mutants and their originals, `jobs` at once; originals come first.

    `timeout` is in seconds for each. Raises `MutationError`, before anything runs, if a mutant does not apply.
    """
    tasks = [*_originals(manifest, mutants), *(_task(manifest, mutant) for mutant in mutants)]
    with TemporaryDirectory(prefix="alts-mutants-") as folder, ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        placed = [_place(task, Path(folder) / str(number)) for number, task in enumerate(tasks)]
        cancelled = Event()

        def one(task: _Task) -> Trial:
            trial = _try(engine, task, timeout or _SECONDS, cancelled)
            progress(trial)
            return trial

        try:
            return tuple(pool.map(one, placed))
        except BaseException:
            cancelled.set()
            raise


def mutated(text: str, edit: Edit) -> str:
    """`text` after an edit. Raises `MutationError` unless what is replaced is there exactly once."""
    count = text.count(edit.old)
    if count != 1 or edit.old == edit.new:
        raise MutationError(f"{edit.file}: {count} times, not once: {edit.old!r}")
    return text.replace(edit.old, edit.new)


def _try(engine: Engine, task: _Task, timeout: float, cancelled: Event) -> Trial:
    try:
        return Trial(task.name, task.mutant, engine.prove(task.script, timeout, cancelled))
    except EngineFailure as error:
        return Trial(task.name, task.mutant, failure=str(error))


def _originals(manifest: Manifest, mutants: Iterable[Mutant]) -> list[_Task]:
    """Each scenario once, with all queries that any mutant of it must lose."""
    scenarios: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for mutant in mutants:
        wanted = scenarios.setdefault((mutant.script, mutant.swap), [])
        wanted += [query for query in mutant.queries if query not in wanted]
    return [
        _scenario(manifest, "original " + ", ".join((file, *(after for _, after in swap))), file, swap, ids)
        for (file, swap), ids in scenarios.items()
    ]


def _task(manifest: Manifest, mutant: Mutant) -> _Task:
    task = _scenario(manifest, mutant.name, mutant.script, mutant.swap, mutant.queries)
    script = task.script
    for edit in mutant.edits:
        if edit.file not in script.libraries:
            raise MutationError(f"{mutant.name}: {edit.file} is no part of {mutant.script}")
    if not mutant.edits or not mutant.queries:
        raise MutationError(f"{mutant.name}: nothing is edited, or nothing is asked")
    for file in {edit.file for edit in mutant.edits}:
        _edited(script.root / file, file, mutant.edits)
    return replace(task, mutant=mutant, edits=mutant.edits)


def _scenario(manifest: Manifest, name: str, file: str, swap: tuple[tuple[str, str], ...], ids: Sequence[str]) -> _Task:
    """A script with expected results, with fragments exchanged and only the queries of `ids`, in its order."""
    found = [script for script in manifest.scripts if script.file == file]
    if not found:
        raise MutationError(f"there is no script {file}")
    (script,) = found
    if strangers := [before for before, _ in swap if before not in script.libraries]:
        raise MutationError(f"{strangers[0]} is no part of {file}")
    if strangers := [one for one in ids if one not in {query.id for query in script.queries}]:
        raise MutationError(f"{file} does not ask {strangers[0]}")
    libraries = tuple(dict(swap).get(library, library) for library in script.libraries)
    queries = tuple(query for query in script.queries if query.id in ids)
    return _Task(name, None, replace(script, libraries=libraries, queries=queries), (), script.queries)


def _edited(path: Path, file: str, edits: Iterable[Edit]) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MutationError(f"{file}: {error.strerror}") from error
    for edit in edits:
        if edit.file == file:
            text = mutated(text, edit)
    return text


def _place(task: _Task, folder: Path) -> _Task:
    """Writes the files of a task into `folder`."""
    script = task.script
    for file in script.libraries:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        text = _edited(script.root / file, file, task.edits)
        target.write_text(text, encoding="utf-8")
    target = folder / script.file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_questions(task), encoding="utf-8")
    return replace(task, script=replace(script, root=folder))


def _questions(task: _Task) -> str:
    """The script with no more than its wanted queries. What asks others besides is an error."""
    script = task.script
    text = (script.root / script.file).read_text(encoding="utf-8")
    sizes: dict[str, int] = {}
    for library in script.libraries:
        sizes |= _macros((script.root / library).read_text(encoding="utf-8"), library)
    kept, position = [], 0
    for line in text.splitlines():
        if not line.startswith("expand "):
            kept.append(line)
            continue
        name = line.removeprefix("expand ").partition("(")[0]
        if name not in sizes:
            raise MutationError(f"{script.file}: nothing defines {name}")
        asked = task.whole[position : position + sizes[name]]
        position += sizes[name]
        wanted = [query for query in asked if query in script.queries]
        if wanted:
            if len(wanted) != len(asked):
                raise MutationError(f"{script.file}: {name} asks more than {wanted[0].id}")
            kept.append(line)
    return "\n".join(kept) + "\n"


def _macros(text: str, file: str) -> dict[str, int]:
    """How many queries each macro of a library asks."""
    found: dict[str, int] = {}
    name = ""
    words = [(token.kind, token.text) for token in tokenize(text, file)]
    for position, (kind, _) in enumerate(words):
        if kind == "def":
            name = words[position + 1][1]
            found[name] = 0
        elif kind == "query" and name:
            found[name] += 1
    return found
