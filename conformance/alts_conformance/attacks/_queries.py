"""The gallery against the expected results of the proofs: each query that a trial names is there, and says the same."""

from __future__ import annotations

from collections.abc import Iterable

from alts_proofs import load_manifest

from ._record import Attack, Outcome


def problems(attacks: Iterable[Attack]) -> list[str]:
    """What does not fit: an unknown query, another file, another expected result, an outcome that contradicts it."""
    manifest = load_manifest()
    where = {query.id: (script.file, query) for script in manifest.scripts for query in script.queries}
    found = []
    for attack in attacks:
        for trial in attack.trials:
            name, query = f"{attack.name}/{trial.name}", trial.query
            if query is None:
                if not trial.without_query:
                    found.append(f"{name}: neither a query nor a reason why there is none")
                continue
            if query.id not in where:
                found.append(f"{name}: there is no query {query.id}")
                continue
            file, given = where[query.id]
            if file != query.file:
                found.append(f"{name}: {query.id} is in {file}, not in {query.file}")
            if given.expected != query.expected:
                found.append(f"{name}: {query.id} is expected to be {given.expected}, not {query.expected}")
            if (trial.expected is Outcome.WORKS) != (query.expected == "false"):
                found.append(
                    f"{name}: an attack that {trial.expected} does not follow a query that is {query.expected}"
                )
    return found
