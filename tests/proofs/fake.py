"""A ProVerif that is none: an executable that prints what a test wants, for scripts and expectations made up for it."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BANNER = "Proverif 2.05. Cryptographic protocol verifier, by Bruno Blanchet, Vincent Cheval, and Marc Sylvestre"

# The queries of the made-up script: ID, as ProVerif would print it, without its numbering, expected.
SECRET = ("made-up/secret", "not attacker(s[])", "true")
AGREES = ("made-up/agrees", "inj-event(Ends(x)) ==> inj-event(Begins(x))", "true")
REACHED = ("made-up/reached", "not event(Ends(x))", "false")
QUERIES = (SECRET, AGREES, REACHED)

GOOD = """\
-- Query not attacker(s[]) in process 0.
RESULT not attacker(s[]) is true.
RESULT inj-event(Ends(x_1)) ==> inj-event(Begins(x_1)) is true.
Derivation:

1. The attacker starts it.
A trace has been found.
RESULT not event(Ends(@3_x)) is false.

--------------------------------------------------------------
Verification summary:

Query not attacker(s[]) is true.

Query inj-event(Ends(x_1)) ==> inj-event(Begins(x_1)) is true.

Query not event(Ends(@3_x)) is false.

--------------------------------------------------------------
"""


def prover(folder: Path, output: str, *, then: str = "", banner: str = BANNER) -> Path:
    """An executable that introduces itself with `banner`, prints `output` and then runs the statements `then`."""
    path = folder / "proverif"
    path.write_text(
        f"#!{sys.executable}\n"
        "import os, subprocess, sys, time\n"
        f"if '-help' in sys.argv:\n    print({banner!r})\n    sys.exit(0)\n"
        f"sys.stdout.write({output!r})\nsys.stdout.flush()\n{then}\n",
        encoding="utf-8",
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@dataclass(frozen=True)
class Place:
    """A scripts folder with one script and one library, and the path of its manifest."""

    root: Path
    manifest: Path


def place(folder: Path, document: dict[str, Any] | None = None) -> Place:
    """Writes the made-up script and its expected results, or `document` in place of them."""
    root = folder / "scripts"
    (root / "lib").mkdir(parents=True, exist_ok=True)
    (root / "lib" / "all.pvl").write_text("(* nothing *)\n", encoding="utf-8")
    (root / "lib" / "other.pvl").write_text("(* nothing *)\n", encoding="utf-8")
    (root / "made_up.pv").write_text("process 0\n", encoding="utf-8")
    manifest = folder / "expected.json"
    manifest.write_text(json.dumps(document or expectations()), encoding="utf-8")
    return Place(root, manifest)


def expectations(queries: Sequence[tuple[str, str, str]] = QUERIES) -> dict[str, Any]:
    """A manifest with one script."""
    return {
        "prover": {"name": "ProVerif", "version": "2.05"},
        "profiles": {"plain": ["lib/all.pvl"]},
        "files": [
            {
                "file": "made_up.pv",
                "about": "Made up for a test.",
                "profile": "plain",
                "max_seconds": 30,
                "queries": [_query(*query) for query in queries],
            }
        ],
    }


def _query(identifier: str, echo: str, expected: str) -> dict[str, Any]:
    entry = {
        "id": identifier,
        "property": "made up for a test",
        "kind": "property" if expected == "true" else "reachability",
        "requirements": ["HS-13"],
        "expected": expected,
        "echo": echo,
    }
    if expected == "true":
        entry["no_twin"] = "made up for a test"
    return entry
