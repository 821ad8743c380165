"""``alts prove``: compare the ProVerif scripts with their expected results.

Exit codes: 0 every query came out as expected; 1 one did not (``false`` for ``true``, a time-out, ...); 2 usage; 3 the
prover or the manifest failed, or nothing ran. A run that skipped everything, because there is no prover, exits 3 as
well and says ``skipped`` with the reason for each query in ``--json``; with ``--allow-skipped`` it exits 0 and says the
same. What the manifest declares open for the built-in engine is run there and counted as open; a wrong verdict on it is
a 1 like any other. ``--compare`` runs ProVerif and the built-in engine: 1 when they contradict each other.
``--mutants`` runs the mutated scripts: 1 when a mutant keeps a query that it must lose, 3 when an edit no longer
applies.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from alts_proofs._compare import compare
from alts_proofs._engines import ENGINES, select_engine
from alts_proofs._errors import EngineUnavailable, ManifestError, UsageError
from alts_proofs._manifest import Script, load_manifest
from alts_proofs._prove import prove, skip
from alts_proofs._report import HARNESS, OK, USAGE, FileReport, Report, command
from alts_proofs._trace import prepare_charts, write_charts
from alts_proofs.engine import BuiltIn
from alts_proofs.mutate import MutationError, choose
from alts_proofs.mutate_run import MUTANTS, run_survey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``alts prove``."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a script, like static_agreement.pv, a path to one, or a shell pattern, like 'twins/*' (default: all)",
    )
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what proves (default: %(default)s)")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="seconds for each file (default: its own limit)")
    parser.add_argument(
        "-j", "--jobs", type=_jobs, default=min(4, os.cpu_count() or 1), metavar="N", help="files at once"
    )
    parser.add_argument(
        "--compare", action="store_true", help="run ProVerif and the built-in engine; fail when they contradict"
    )
    parser.add_argument(
        "--mutants",
        action="store_true",
        help="take a check out of the scripts, one by one: each must be missed (FILE then names mutants)",
    )
    parser.add_argument("--allow-skipped", action="store_true", help="exit 0, not 3, when there is no prover")
    parser.add_argument(
        "--charts", type=Path, metavar="DIR", help="draw the attack on every refuted query as SVG (built-in engine)"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print the report as one JSON document")
    output.add_argument(
        "--list", action="store_true", help="show scripts and queries with what is expected; prove nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Does what the parsed options say; gives the exit code."""
    try:
        _check(args)
        if args.mutants:
            return _mutants(args)
        scripts = load_manifest().select(args.files)
        if args.list:
            return _list(scripts)
        if args.compare:
            return _compare(args, scripts)
        if args.charts is not None:
            try:
                prepare_charts(args.charts)
            except OSError as error:
                return _no_charts(args.charts, error)
        report = _report(args, scripts)
    except UsageError as error:
        print(f"alts prove: {error}", file=sys.stderr)
        return USAGE
    except MutationError as error:
        print(f"alts prove: a mutant does not apply: {error}", file=sys.stderr)
        return HARNESS
    except ManifestError as error:
        print(f"alts prove: the expected results cannot be used: {error}", file=sys.stderr)
        return HARNESS
    if args.charts is not None:
        try:
            written = write_charts(report, args.charts)
        except OSError as error:
            return _no_charts(args.charts, error)
        print(f"{len(written)} chart{'' if len(written) == 1 else 's'} in {args.charts}", file=sys.stderr)
    if args.json:
        print(json.dumps(report.document(), indent=2))
    else:
        _print(report.lines(sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return report.exit_code(args.allow_skipped)


def _check(args: argparse.Namespace) -> None:
    """Options that would be ignored are refused. Raises `UsageError`."""
    modes = [option for option in ("list", "compare", "mutants") if getattr(args, option)]
    if args.charts is not None and modes:
        raise UsageError(f"--charts draws what one engine finds in the scripts: leave out --{modes[0]}")
    if args.compare and modes != ["compare"]:
        other = "list" if args.list else "mutants"
        raise UsageError(f"--compare runs the scripts with both engines: leave out --{other}")
    if args.compare and args.engine != "auto":
        raise UsageError("--compare runs both engines: leave out --engine")


def _no_charts(folder: Path, error: OSError) -> int:
    print(f"alts prove: {folder}: {error.strerror or error}", file=sys.stderr)
    return HARNESS


def _report(args: argparse.Namespace, scripts: tuple[Script, ...]) -> Report:
    try:
        engine = select_engine(args.engine)
    except EngineUnavailable as error:
        return skip(args.engine, scripts, str(error))
    if isinstance(engine, BuiltIn) and sys.stderr.isatty():
        engine.watcher = _watch
    return prove(engine, scripts, args.timeout, args.jobs, _progress)


def _compare(args: argparse.Namespace, scripts: tuple[Script, ...]) -> int:
    try:
        engines = (select_engine("proverif"), select_engine("builtin"))
    except EngineUnavailable as error:
        print(f"SKIPPED: nothing to compare with: {error}")
        return OK if args.allow_skipped else HARNESS
    comparison = compare(engines, scripts, args.timeout, args.jobs, _progress)
    if args.json:
        print(json.dumps(comparison.document(), indent=2))
    else:
        _print(comparison.lines())
    return comparison.exit_code()


def _mutants(args: argparse.Namespace) -> int:
    mutants = choose(MUTANTS, args.files)
    if args.list:
        for mutant in mutants:
            print(f"{mutant.name}: {mutant.about} [{mutant.script}: {', '.join(mutant.queries)}]")
        return OK
    try:
        engine = select_engine(args.engine)
    except EngineUnavailable as error:
        print(f"SKIPPED {len(mutants)} mutants: {error}")
        return OK if args.allow_skipped else HARNESS
    survey = run_survey(
        engine, load_manifest(), mutants, args.timeout, args.jobs, lambda trial: print(trial.line(), file=sys.stderr)
    )
    if args.json:
        print(json.dumps(survey.document(), indent=2))
    else:
        _print(survey.lines())
    return survey.exit_code()


def _watch(file: str, numbers: list[int]) -> None:
    processed, kept, waiting, rate = numbers
    line = f"{file}: {processed} clauses, {kept} kept, {waiting} waiting, {rate}/s"
    print(f"\r{line[:79]:<79}\r", end="", file=sys.stderr, flush=True)


def _progress(file: FileReport) -> None:
    print(file.line(), file=sys.stderr, flush=True)


def _list(scripts: Iterable[Script]) -> int:
    for script in scripts:
        print(f"{script.file}: {script.about}")
        print(f"  {command(script)}")
        for query in script.queries:
            origin = f"; twin of {query.twin_of}" if query.twin_of else ""
            print(f"  {query.expected:<5}  {query.id}: {query.property} [{', '.join(query.requirements)}{origin}]")
    return OK


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds below a million")
    return value


def _jobs(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 0 < value <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 1 and 64")
    return value
