"""Writes `docs/proofs.md` from the scripts' expected results; `--check` writes nothing and exits 1 if they differ."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from alts_proofs import Manifest, ManifestError, Query, Script, load_manifest
from alts_proofs.mutate import Mutant
from alts_proofs.mutate_run import MUTANTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "proofs.md"

_HEAD = """\
# What is proved

<!-- Generated from proverif/alts_proofs/expected.json by `make proofs-page`; the prose is in tools/gen_proofs.py. -->

The handshake is written down a third time, besides the implementation and the model: as ProVerif scripts, in
[proverif/](../proverif/README.md). A script is a process of any number of honest parties and sessions, an attacker who
owns the network, and queries. `alts prove` has each query judged, by ProVerif where it is installed and by the built-in
engine elsewhere, and compares the verdict with the one below.

## How to read it

- **true** (*proved*): in no run of the process, however many sessions it has and whatever the attacker does, is the
  property broken. That is a statement about the script: about messages as terms, with perfect cryptography.
- **false** (*refuted*): a run that breaks the property was found. Three kinds of query are meant to be false:
  **limits**, attacks that the design accepts and says so (SPEC.md, section 14); **twins**, which ask a proved query
  again after one check was taken out, so that it is known what the check is good for; and **reachability**, which
  shows that an event can happen at all, since a statement about events that never happen is worth nothing.
- **control**: one check is out, a second one makes up for it, and the property still holds.
- A proved query names the twins that fail, or says why it has none.

"Payload" is what applications say; M, R and A are the record, resumption and authenticator secrets of SPEC.md 7.4.
"Agreement" means: when one end completes, the other has run with the same identities, nonces, offered lists and
choices; "injective": and each run of the one belongs to a run of its own of the other.

## What keeps the scripts honest

- **No drift.** `tests/differential/test_drift*.py` run each script that has one honest run with nobody attacking and
  compare every message, every key and every event of both ends, with all its arguments, with the symbolic run of the
  model, term by term; a message more is drift. Chains are compared through two resumed sessions; labels and orders with
  SPEC.md and the implementation as well. What the scripts leave out, and which have no such run (some observers, ideal
  secrets, thieves alone), is listed in `tests/differential/scripts_runs.py` and `scripts_dictionary.py`.
- **No vacuity.** `tests/proofs/test_reachability.py` reads all queries and wants, for each file, a run for every event
  in them: found by a query in the same process or in a part of it, so for each cipher and each removed check apart.
  For chains the run is that of the interpreter which the comparison with the model uses. Left out are excuses that a
  process never gives, which excuse nothing there: thefts that the attacker of some files cannot commit. The test lists
  them.
- **No idle check.** `alts prove --mutants` takes something out of the sound scripts, one thing at a time, and wants the
  engine to miss it. The list is at the end.

## What is on paper or outside

- That the sum of the queries is what SPEC.md promises is an argument in words, as is every choice of what to model:
  a certificate chain is one signature in the brief scripts (the full chain is in the static ones), a list has two
  entries, one record stands for all records of a direction.
- Outside any symbolic model: expiry and clocks, lengths, low-order points and the check for zero, counters and limits
  (the model's checks and the vectors cover them), repeated AES-GCM nonces, side channels, denial of service.
- Hashes, HMAC, HKDF, signatures, AEAD and X25519 are ideal; the one equation is that of Diffie-Hellman.
- What no engine has settled yet is listed as open in [proverif/README.md](../proverif/README.md).
"""

_KINDS = {
    "property": "Proved",
    "limit": "Refuted by design",
    "control": "Controls",
    "twin": "Twins",
    "reachability": "Reachability",
}
_ABOUT = {
    "property": "What must hold. The last column names the twins that fail, by their scripts.",
    "limit": "What the design does not give, with the run that shows it.",
    "control": "A check is out and another one makes up for it.",
    "twin": "The proved query whose check is out, and the script that has it out.",
    "reachability": "Events that happen in some run.",
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _rows(manifest: Manifest, kind: str) -> Iterator[tuple[Script, Query]]:
    for script in manifest.scripts:
        for query in script.queries:
            if query.kind == kind:
                yield script, query


def _twins(manifest: Manifest, query: Query) -> str:
    found = [
        script.file.removeprefix("twins/").removesuffix(".pv")
        for script in manifest.scripts
        for twin in script.queries
        if twin.twin_of == query.id and twin.expected == "false"
    ]
    return ", ".join(f"`{name}`" for name in dict.fromkeys(found)) or _cell(query.no_twin or "–")


def _table(manifest: Manifest, kind: str) -> Iterator[str]:
    rows = list(_rows(manifest, kind))
    yield f"## {_KINDS[kind]} ({len(rows)})"
    yield ""
    yield _ABOUT[kind]
    yield ""
    if kind == "twin":
        yield "| query | twin of | script | what is out |"
        yield "|---|---|---|---|"
        for script, query in rows:
            out = ", ".join(f"`{after.removeprefix('weakened/').removesuffix('.pvl')}`" for after in _weakened(script))
            yield f"| `{query.id}` | {f'`{query.twin_of}`' if query.twin_of else '–'} | `{script.file}` | {out} |"
    else:
        last = "twins that fail" if kind == "property" else "script"
        yield f"| query | in words | verdict | requirements | {last} |"
        yield "|---|---|---|---|---|"
        for script, query in rows:
            end = _twins(manifest, query) if kind == "property" else f"`{script.file}`"
            requirements = ", ".join(query.requirements)
            yield f"| `{query.id}` | {_cell(query.property)} | {query.expected} | {requirements} | {end} |"
    yield ""


def _weakened(script: Script) -> list[str]:
    return [after for before, after in script.replaced if before.startswith("checks/")]


def _mutants(mutants: tuple[Mutant, ...]) -> Iterator[str]:
    yield f"## Mutants ({len(mutants)})"
    yield ""
    yield "What is taken out, and the query that is then refuted or no longer proved."
    yield ""
    yield "| mutant | what is out | query |"
    yield "|---|---|---|"
    for mutant in mutants:
        queries = ", ".join(f"`{query}`" for query in mutant.queries)
        yield f"| `{mutant.name}` | {_cell(mutant.about)} | {queries} |"


def render(manifest: Manifest, mutants: tuple[Mutant, ...] = MUTANTS) -> str:
    """The Markdown page."""
    count = {kind: sum(1 for _ in _rows(manifest, kind)) for kind in _KINDS}
    lines = [_HEAD, f"{sum(count.values())} queries in {len(manifest.scripts)} scripts."]
    lines.append("")
    for kind in _KINDS:
        if count[kind]:
            lines += _table(manifest, kind)
    lines += _mutants(mutants)
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Entry point. Exit codes: 0 all well, 1 --check found a difference, 3 the expected results are not valid."""
    parser = argparse.ArgumentParser(prog="python -m tools.gen_proofs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page differs")
    check = parser.parse_args(argv).check
    try:
        page = render(load_manifest())
    except ManifestError as error:
        print(f"gen_proofs: {error}", file=sys.stderr)
        return 3
    if not check:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        print(f"{PAGE.relative_to(ROOT)} is not what `python -m tools.gen_proofs` writes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
