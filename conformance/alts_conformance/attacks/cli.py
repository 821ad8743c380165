"""``alts attack list|run|page``: show and run the attack gallery."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import _peers
from .._runner import terminable
from .._verdict import HarnessError, UsageError
from .._world import clean_environment
from . import _gallery, _page, _queries, _run, _write
from ._record import Attack, Evidence, Outcome, Query, Result, Trial
from ._stage import Hosts

_OK, _FINDINGS, _USAGE, _HARNESS = 0, 1, 2, 3
_WHEEL_LIMIT = 240.0
"""Seconds for all trials with the wheel together."""
_NONE = Evidence()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``alts attack``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    shown = what.add_parser("list", help="all attacks, their trials and what is to come out")
    shown.add_argument("--json", action="store_true", help="print one JSON document")
    run_ = what.add_parser("run", help="run attacks, with and without the fix")
    run_.add_argument("name", nargs="*", metavar="NAME", help="ATTACK or ATTACK/TRIAL")
    run_.add_argument("--all", action="store_true", help="run every attack")
    run_.add_argument("--tell", action="store_true", help="tell the stories with --all, too")
    run_.add_argument("--output", type=Path, metavar="DIR", help="write charts, transcripts and a report there")
    run_.add_argument("--json", action="store_true", help="print one JSON document (schemas/attacks.schema.json)")
    run_.add_argument("--require-all", action="store_true", help="a trial that cannot run here is a failure (exit 3)")
    what.add_parser("page", help="print docs/attacks.md")


def run(args: argparse.Namespace) -> int:
    """Do it: 0 if every trial went as the gallery says, 1 if not, 2 usage, 3 if that cannot be told."""
    try:
        if args.what == "page":
            print(_page.page(), end="")
            return _OK
        if args.what == "list":
            return _list(as_json=args.json)
        return _attack(args)
    except UsageError as error:
        print(f"alts attack: {error}", file=sys.stderr)
        return _USAGE
    except HarnessError as error:
        print(f"alts attack: {error}", file=sys.stderr)
        return _HARNESS


def _list(*, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"attacks": [_listed(attack) for attack in _gallery.ATTACKS]}))
        return _OK
    for attack in _gallery.ATTACKS:
        print(f"{attack.name}: {attack.title}\n  {attack.verdict}")
        for trial in attack.trials:
            print(f"  {trial.name:20} {trial.expected:8} {trial.condition}")
    return _OK


def _listed(attack: Attack) -> dict[str, Any]:
    trials = [
        {"name": trial.name, "condition": trial.condition, "expected": trial.expected.value} for trial in attack.trials
    ]
    return {"name": attack.name, "title": attack.title, "verdict": attack.verdict, "trials": trials}


def _attack(args: argparse.Namespace) -> int:
    if args.all == bool(args.name):
        raise UsageError("name attacks, or give --all")
    names = [attack.name for attack in _gallery.ATTACKS] if args.all else args.name
    chosen = _gallery.select(names)
    if wrong := _queries.problems(dict.fromkeys(attack for attack, _ in chosen)):
        raise HarnessError("; ".join(wrong))
    if args.output is not None:
        _write.prepare(args.output)
    stories = not args.json and (args.tell or not args.all)
    begin = time.monotonic()
    with terminable():
        results = asyncio.run(_all(chosen, _say if stories else None))
    if args.json:
        print(json.dumps(_write.document(chosen, results)), flush=True)
    else:
        _tell(chosen, results, time.monotonic() - begin, evidence=stories)
    if args.output is not None:
        _write.write(args.output, chosen, results)
        if not args.json:
            print(f"charts and transcripts: {args.output}")
    return _exit_code(results, require_all=args.require_all)


def _say(text: str) -> None:
    """A sentence, wrapped."""
    print(textwrap.fill(text, 118, initial_indent="  ", subsequent_indent="    "), flush=True)


def _exit_code(results: Sequence[Result], *, require_all: bool) -> int:
    if any(result.outcome not in (result.expected, Outcome.SKIPPED, Outcome.HARNESS) for result in results):
        return _FINDINGS
    ran = [result for result in results if result.outcome is not Outcome.SKIPPED]
    if not ran or any(result.outcome is Outcome.HARNESS for result in ran) or (require_all and len(ran) < len(results)):
        return _HARNESS
    return _OK


async def _all(chosen: Sequence[tuple[Attack, Trial]], tell: Callable[[str], None] | None) -> list[Result]:
    """Run trials: those with the wheel in a process of their own, all of them in the order of the gallery."""
    with_wheel = [(attack, trial) for attack, trial in chosen if trial.wheel]
    results: dict[tuple[str, str], Result] = {}
    hosts = Hosts()
    told: list[str] = []  # by the child process, kept until it is its turn
    inside = asyncio.create_task(_inside(with_wheel, None if tell is None else told.append))
    try:
        for attack, trial in chosen:
            if tell is not None and trial is next(own for its, own in chosen if its is attack):
                tell(f"{attack.title}. {attack.story}")
            if not trial.wheel:
                results[attack.name, trial.name] = await _run.run_trial(attack, trial, hosts, tell)
        for result in await inside:
            results[result.attack, result.trial] = result
        if tell is not None:
            for text in told:
                tell(text)
    finally:
        inside.cancel()
        await asyncio.gather(inside, return_exceptions=True)
        await hosts.close()
    return [results[attack.name, trial.name] for attack, trial in chosen]


async def _inside(chosen: Sequence[tuple[Attack, Trial]], tell: Callable[[str], None] | None) -> list[Result]:
    """Run trials with the wheel in a child process that has namespaces of its own."""
    if not chosen:
        return []
    if why := _peers.unavailable(_peers.get("grpc-core")):
        return [_without_run(attack, trial, Outcome.SKIPPED, why) for attack, trial in chosen]
    with tempfile.TemporaryDirectory(prefix="alts-attacks-wheel-", ignore_cleanup_errors=True) as folder:
        return await _child(chosen, tell, folder)


async def _child(
    chosen: Sequence[tuple[Attack, Trial]], tell: Callable[[str], None] | None, folder: str
) -> list[Result]:
    """The child process from its start to its end; what it leaves in the folder is the caller's to remove."""
    names = [f"{attack.name}/{trial.name}" for attack, trial in chosen]
    environment = {"TMPDIR": folder}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alts_conformance.attacks._inside", folder, *names),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=clean_environment(environment),
        limit=1 << 24,
        start_new_session=True,  # Ctrl-C is for the parent alone
    )
    stdout = process.stdout
    assert stdout is not None  # a pipe
    found: dict[tuple[str, str], Result] = {}
    missing, outcome, why = "", Outcome.HARNESS, "the process with the wheels ended before this trial"
    try:
        async with asyncio.timeout(_WHEEL_LIMIT):
            async for line in stdout:
                document = json.loads(line)
                missing = document.get("missing", missing)
                if "tell" in document and tell is not None:
                    tell(document["tell"])
                if "result" in document:
                    result = _result(document["result"])
                    found[result.attack, result.trial] = result
            await process.wait()
    except TimeoutError:
        outcome, why = Outcome.HANG, f"not done within {_WHEEL_LIMIT:g} s"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # not reaped yet: the group is still this process's own
            await process.wait()
    if missing:
        outcome, why = Outcome.SKIPPED, f"needs a namespace of its own: {missing}"
    return [found.get((a.name, t.name)) or _without_run(a, t, outcome, why) for a, t in chosen]


def _result(given: dict[str, Any]) -> Result:
    """A result as the child process wrote it."""
    evidence: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in given["evidence"].items()}
    return Result(
        **{
            **given,
            "expected": Outcome(given["expected"]),
            "outcome": Outcome(given["outcome"]),
            "evidence": Evidence(**evidence),
            "story": tuple(given["story"]),
            "steps": tuple(map(tuple, given["steps"])),
            "frames": tuple(given["frames"]),
            "query": None if given["query"] is None else Query(**given["query"]),
        }
    )


def _without_run(attack: Attack, trial: Trial, outcome: Outcome, why: str) -> Result:
    return Result(
        attack.name, trial.name, trial.condition, trial.expected, outcome, _NONE, 0, message=why, query=trial.query
    )


def _tell(chosen: Sequence[tuple[Attack, Trial]], results: Sequence[Result], seconds: float, *, evidence: bool) -> None:
    """The outcome of each trial under its attack; what is not as told comes first."""
    odd = [result for result in results if not result.as_told]
    for result in odd:
        word = "SKIPPED" if result.outcome is Outcome.SKIPPED else "FAIL"
        detail = f": {result.message}" if result.message else ""
        print(f"{word} {result.attack}/{result.trial}: should be {result.expected}, {result.outcome}{detail}")
    for attack in dict.fromkeys(attack for attack, _ in chosen):
        print(f"\n{attack.name}: {attack.title}\n  {attack.verdict}")
        for result in results:
            if result.attack == attack.name:
                _tell_one(result, evidence=evidence)
        print(f"  fix: {attack.fix}")
    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    skipped = counts[Outcome.SKIPPED]
    print(f"\n{len(results)} trials in {seconds:.0f} s: {told}; {len(odd) - skipped} not as the gallery says")


def _tell_one(result: Result, *, evidence: bool) -> None:
    mark = "as told" if result.as_told else "skipped" if result.outcome is Outcome.SKIPPED else "NOT AS TOLD"
    print(f"  {result.trial:20} {result.outcome:8} {mark:12} {result.condition}")
    if evidence and result.outcome is not Outcome.SKIPPED:
        for title, entries in _write.sections(result):
            print(f"    {title.lower()}:")
            for entry in entries:
                print(f"      {entry}")
