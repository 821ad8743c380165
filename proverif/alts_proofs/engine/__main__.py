"""``python -m alts_proofs.engine``: settles the queries of one script, one JSON document a line.

Lines are ``{"queries": [...]}`` first, then ``{"query": index, "result": ..., "seconds": ..., "reason": ...,
"trace": ...}`` for each query as it is settled, and with ``--progress`` ``{"progress": ...}`` in between.
Exit codes: 0 all went as it should, whatever came out; 2 usage or a script that is not in the language; 3 it failed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from alts_proofs.engine._elaborate import elaborate
from alts_proofs.engine._errors import EngineError, TimeUp, Unsupported
from alts_proofs.engine._machine import Actor
from alts_proofs.engine._parser import parse_script
from alts_proofs.engine._settle import Progress, Verdict, settle

# Derivations and scripts nest deeply.
_RECURSION = 200_000
_STACK = 512 << 20
# Two processes stay within 2 GiB.
_MEMORY = 960
# The prover looks at the clock between two steps. A step that takes longer than this is cut off.
_GRACE = 5.0


def main() -> int:
    """Parses the command line and runs it on a large stack; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m alts_proofs.engine", description=__doc__.splitlines()[0])
    parser.add_argument("script", type=Path)
    parser.add_argument("-lib", "--library", action="append", default=[], type=Path)
    parser.add_argument("--timeout", type=float, default=3600.0, metavar="S")
    parser.add_argument("--memory", type=int, default=_MEMORY, metavar="MB", help="give up above this (%(default)s)")
    parser.add_argument("--progress", action="store_true")
    args = parser.parse_args()
    codes: list[int] = []
    # Terms and clauses live long and make no cycles: looking for garbage among them again and again costs much.
    gc.set_threshold(200_000, 50, 100)
    sys.setrecursionlimit(_RECURSION)
    threading.stack_size(_STACK)
    told = _Told()
    thread = threading.Thread(target=lambda: codes.append(_run(args, told)), daemon=True)
    thread.start()
    thread.join(min(max(args.timeout, 0.0) + _GRACE, threading.TIMEOUT_MAX))
    if thread.is_alive():
        told.give_up()
    return codes[0] if codes else 3


class _Told:
    """What was printed: each query once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, None] | None = None

    def queries(self, texts: list[str]) -> None:
        """Prints what is asked."""
        with self._lock:
            self._open = dict.fromkeys(range(len(texts)))
            self._print({"queries": texts})

    def document(self, document: dict[str, Any]) -> None:
        """Prints anything else."""
        with self._lock:
            if self._open is not None and "query" in document:
                self._open.pop(document["query"], None)
            self._print(document)

    def give_up(self) -> NoReturn:
        """Prints that what is open is a timeout, and ends the process whatever it is at."""
        with self._lock:
            if self._open is None:
                print("alts_proofs.engine: the script was not read within the time limit", file=sys.stderr, flush=True)
                os._exit(3)
            for index in self._open:
                self._print(_document(index, Verdict("timeout", "a step did not end within the time limit"), 0.0))
            os._exit(0)

    @staticmethod
    def _print(document: dict[str, Any]) -> None:
        print(json.dumps(document), flush=True)


def _megabytes() -> int:
    """The most memory that this process had; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most >> 20 if sys.platform == "darwin" else most >> 10


def _run(args: argparse.Namespace, told: _Told) -> int:
    start = time.monotonic()
    try:
        model = elaborate(parse_script(args.script, args.library, Path.cwd()))
    except Unsupported as error:
        told.document({"unsupported": str(error)})
        return 0
    except EngineError as error:
        print(f"alts_proofs.engine: {error}", file=sys.stderr)
        return 2
    told.queries([query.text for query in model.queries])

    def progress(one: Progress) -> None:
        if _megabytes() > args.memory:
            raise TimeUp(f"the memory limit of {args.memory} MB was reached")
        if args.progress:
            told.document({"progress": [one.processed, one.kept, one.waiting, round(one.rate)]})

    last = start
    for index, verdict in settle(model, range(len(model.queries)), start + args.timeout, progress):
        now = time.monotonic()
        told.document(_document(index, verdict, now - last))
        last = now
    return 0


def _document(index: int, verdict: Verdict, seconds: float) -> dict[str, Any]:
    document: dict[str, Any] = {"query": index, "result": verdict.result, "seconds": round(seconds, 3)}
    if verdict.reason is not None:
        document["reason"] = verdict.reason
    if verdict.lines:
        document["trace"] = "\n".join(
            f"{number}. {line.text}" + (f"  [{line.place}]" if line.place else "")
            for number, line in enumerate(verdict.lines, 1)
        )
        names = _names(verdict)
        document["steps"] = [
            {"source": names[line.source], "target": names[line.target], "message": line.label}
            | ({"place": str(line.place)} if line.place else {})
            for line in verdict.lines
        ]
    return document


def _names(verdict: Verdict) -> dict[Actor, str]:
    """A name for every actor of an attack: its role, and a number if there are several of one role."""
    roles: dict[str, list[Actor]] = {}
    for line in verdict.lines:
        for actor in (line.source, line.target):
            if actor not in roles.setdefault(actor[0], []):
                roles[actor[0]].append(actor)
    return {
        actor: role if len(actors) == 1 else f"{role} {number}"
        for role, actors in roles.items()
        for number, actor in enumerate(actors, 1)
    }


if __name__ == "__main__":
    sys.exit(main())
