"""The expected results: which scripts there are, from which libraries, and what each of their queries must give."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import jsonschema

from alts_proofs._errors import ManifestError, UsageError

Expected = Literal["true", "false"]
Kind = Literal["property", "limit", "twin", "control", "reachability"]

_PACKAGE = Path(__file__).resolve().parent
SCRIPTS = _PACKAGE / "scripts"
EXPECTED = _PACKAGE / "expected.json"
_SCHEMA = _PACKAGE / "expected.schema.json"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a script and what must come out.

    `echo` is the query as ProVerif prints it, without its numbering of variables: it ties the record to the query, so
    that queries that change or change places are noticed. `twin_of` names the query that this one repeats with a check
    removed.
    """

    id: str
    property: str
    kind: Kind
    requirements: tuple[str, ...]
    expected: Expected
    echo: str
    twin_of: str | None = None
    no_twin: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """One ``.pv`` file, the libraries in front of it in their order, and its queries in theirs.

    `seconds` is the processor time that ProVerif once needed for the file, if that was measured. `builtin_open` says
    why the built-in engine is not expected to settle the queries; None where it is.
    """

    file: str
    about: str
    libraries: tuple[str, ...]
    replaced: tuple[tuple[str, str], ...]
    max_seconds: float
    queries: tuple[Query, ...]
    root: Path
    seconds: float | None = None
    builtin_open: str | None = None

    @property
    def path(self) -> Path:
        """Where the script lies."""
        return self.root / self.file

    def arguments(self) -> list[str]:
        """The command line behind ``proverif``, relative to the scripts folder."""
        return [word for library in self.libraries for word in ("-lib", library)] + [self.file]


@dataclass(frozen=True)
class Manifest:
    """All scripts with their expected results."""

    prover: str
    version: str
    scripts: tuple[Script, ...]

    @cached_property
    def queries(self) -> dict[str, Query]:
        """All queries by their ID."""
        return {query.id: query for script in self.scripts for query in script.queries}

    def select(self, patterns: list[str]) -> tuple[Script, ...]:
        """The scripts that any pattern names, in the manifest's order; all of them without a pattern.

        A pattern is a file of the scripts folder, a shell pattern for such files, or a path to one.
        Raises `UsageError` for a pattern that names nothing.
        """
        if not patterns:
            return self.scripts
        chosen: set[str] = set()
        for pattern in patterns:
            found = {script.file for script in self.scripts if _names(pattern, script)}
            if not found:
                raise UsageError(_unknown(pattern))
            chosen |= found
        return tuple(script for script in self.scripts if script.file in chosen)


def _unknown(pattern: str) -> str:
    """What to say of a pattern that names no script: whoever has a file of their own wants the engine itself."""
    if os.path.isfile(pattern):  # unlike Path.is_file(), an answer for any name
        return (
            f"{pattern} is no script with expected results, so there is nothing to compare it with; to settle its"
            f" queries: python -m alts_proofs.engine {shlex.quote(pattern)}"
        )
    own = "; for one of your own: python -m alts_proofs.engine FILE" if pattern.endswith(".pv") else ""
    return f"no script with expected results is called {pattern!r}; `--list` shows them{own}"


def _names(pattern: str, script: Script) -> bool:
    return fnmatchcase(script.file, pattern) or os.path.realpath(pattern) == os.path.realpath(script.path)


def load_manifest(path: Path = EXPECTED, root: Path = SCRIPTS) -> Manifest:
    """Reads and checks the expected results in `path` for the scripts below `root`. Raises `ManifestError`."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path.name}: {error}") from error
    validator = jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))
    first = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if first is not None:
        raise ManifestError(f"{path.name}: {first.json_path}: {first.message}")
    scripts = tuple(_script(entry, document["profiles"], root) for entry in document["files"])
    manifest = Manifest(document["prover"]["name"], document["prover"]["version"], scripts)
    _check(manifest)
    return manifest


def _script(entry: dict[str, Any], profiles: dict[str, list[str]], root: Path) -> Script:
    name = entry["file"]
    profile = profiles.get(entry["profile"])
    if profile is None:
        raise ManifestError(f"{name}: there is no profile {entry['profile']!r}")
    replace: dict[str, str] = entry.get("replace", {})
    if strangers := sorted(set(replace) - set(profile)):
        raise ManifestError(f"{name}: replaces {strangers[0]}, which its profile does not have")
    libraries = tuple(replace.get(library, library) for library in profile)
    for file in (*libraries, name):
        if not (root / file).is_file():
            raise ManifestError(f"{name}: there is no file {file}")
    queries = tuple(_query(query) for query in entry["queries"])
    return Script(
        file=name,
        about=entry["about"],
        libraries=libraries,
        replaced=tuple(replace.items()),
        max_seconds=float(entry["max_seconds"]),
        queries=queries,
        root=root,
        seconds=float(entry["seconds"]) if "seconds" in entry else None,
        builtin_open=entry.get("builtin_open"),
    )


def _query(entry: dict[str, Any]) -> Query:
    return Query(
        id=entry["id"],
        property=entry["property"],
        kind=cast("Kind", entry["kind"]),
        requirements=tuple(entry["requirements"]),
        expected=cast("Expected", entry["expected"]),
        echo=entry["echo"],
        twin_of=entry.get("twin_of"),
        no_twin=entry.get("no_twin"),
    )


def _check(manifest: Manifest) -> None:
    """What the schema cannot say: IDs are unique, twins repeat their query, every property has a twin or a reason."""
    seen: dict[str, Query] = {}
    files: set[str] = set()
    for script in manifest.scripts:
        if script.file in files:
            raise ManifestError(f"{script.file} is listed twice")
        files.add(script.file)
        for query in script.queries:
            if query.id in seen:
                raise ManifestError(f"query {query.id} is listed twice")
            seen[query.id] = query
    twinned: set[str] = set()
    for query in seen.values():
        if query.twin_of is None:
            continue
        original = seen.get(query.twin_of)
        if original is None:
            raise ManifestError(f"{query.id}: there is no query {query.twin_of} to be the twin of")
        if original.expected != "true":
            raise ManifestError(f"{query.id}: {original.id} is not expected to be true, so that it has no twin")
        if original.echo != query.echo:
            raise ManifestError(f"{query.id} is not the query that it is the twin of, {original.id}")
        if query.expected == "false":
            twinned.add(original.id)
    for query in seen.values():
        if query.kind == "property" and query.id not in twinned and query.no_twin is None:
            raise ManifestError(f"{query.id}: neither a twin nor a reason why there is none")
