"""``alts conform``: choose instances, run them, report."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import _case, _known, _peers, _report
from ._runner import Options, Result, Run, Runner, Worker, drive, terminable
from ._terminal import Terminal
from ._verdict import Attempt, ConformanceError, HarnessError, UsageError, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``alts conform``."""
    add = parser.add_argument
    add("--peer", action="append", metavar="NAME", help="judge this peer only (repeatable; default: all)")
    add("--case", action="append", metavar="GLOB", help="run instances or cases whose ID fits (repeatable)")
    add(
        "--profile", action="append", metavar="P", help="run the cases of a profile, such as rpc or record (repeatable)"
    )
    add("--known", metavar="FILE", type=Path, help="known findings (default: the packaged file; 'none' for none)")
    add(
        "--report",
        metavar="DIR",
        type=Path,
        default=Path("build/conform"),
        help="where reports go (default: build/conform)",
    )
    add(
        "-j",
        "--jobs",
        type=_positive,
        default=min(os.cpu_count() or 1, 4),
        metavar="N",
        help="workers (default: CPUs, at most 4)",
    )
    add("--executor", default="local", metavar="WHERE", help="where instances run; only 'local' exists so far")
    add("--seed", type=int, metavar="S", help="seed of all random choices (default: a new one, printed)")
    add(
        "--retries",
        type=_not_negative,
        default=2,
        metavar="N",
        help="further tries of a failure, to tell flaky ones (default: 2)",
    )
    add("--json", action="store_true", help="print one JSON document (schemas/report.schema.json)")
    add("--list", action="store_true", help="list the instances that would run, and run nothing")
    add(
        "--require-all-peers",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="a peer that cannot run is a failure (default where CI=true)",
    )
    add(
        "--driver",
        action="append",
        default=[],
        metavar="NAME=CAPS:COMMAND",
        help="a further peer: its capabilities and its driver",
    )
    add("--cases", action="append", default=[], metavar="MODULE", help="a further module of cases (importable)")
    add("--mutants", action="store_true", help="see that broken copies of the implementation are caught (its own run)")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _not_negative(text: str) -> int:
    return 0 if text == "0" else _positive(text)


def run(args: argparse.Namespace) -> int:
    """Run ``alts conform``; returns the exit code (0 all well, 1 findings, 2 usage, 3 harness, 130 interrupted)."""
    terminal = Terminal(sys.stderr if args.json else sys.stdout)
    try:
        if args.executor != "local":
            raise UsageError(f"--executor {args.executor}: only 'local' exists so far; tcp:// is not built yet")
        if args.mutants:
            from ._mutants import run as run_mutants

            for name in ("peer", "profile", "known", "json", "driver", "cases"):
                if getattr(args, name):
                    raise UsageError(f"--mutants runs its own cases against its own copies: leave out --{name}")
            with terminable():
                return run_mutants(args, terminal)
        with terminable():
            return conform(args, terminal)
    except UsageError as error:
        print(f"alts conform: {error}", file=sys.stderr)
        return 2
    except ConformanceError as error:
        print(f"alts conform: the harness failed: {error}", file=sys.stderr)
        return 3


def conform(args: argparse.Namespace, terminal: Terminal) -> int:
    """The work behind :func:`run`.

    Raises:
        UsageError, HarnessError: see there.
    """
    if args.cases:
        sys.path.insert(0, str(Path.cwd()))
    registry = _case.discover(args.cases)
    extra = {peer.name: peer for peer in map(_peers.extra_peer, args.driver)}
    wanted = args.peer or [*_peers.BUILTIN, *extra]
    peers = {name: _peers.get(name, extra) for name in dict.fromkeys([*wanted, *_peers.BUILTIN, *extra])}
    unavailable = {name: why for name, peer in peers.items() if (why := _peers.unavailable(peer))}
    everything = registry.instances({name: peer.capabilities for name, peer in peers.items()})
    chosen = choose(everything, args, wanted)
    if args.list:
        return show_list(chosen, args, registry)
    if not chosen:
        raise HarnessError("no instance fits: nothing would run")
    findings = read_known(args.known)
    seed = args.seed if args.seed is not None else secrets.randbits(31)
    options = Options(
        peers=[name for name in peers if name not in unavailable],
        seed=seed,
        jobs=args.jobs,
        retries=args.retries,
        report=args.report.resolve(),
        cases=args.cases,
        drivers=args.driver,
        known=findings,
    )
    _report.prepare(options.report or args.report)
    complaints = _known.complaints(findings, everything, datetime.date.today())
    names = ", ".join(f"{name} {_peers.version_of(peer)}" for name, peer in peers.items() if name not in unavailable)
    begin = time.monotonic()
    terminal.start(
        len(chosen), f"alts conform: {len(chosen)} instances, {args.jobs} workers, seed {seed}; peers: {names}"
    )
    state, skipped = execute(chosen, options, unavailable, terminal)
    versions = {**{name: _peers.version_of(peer) for name, peer in peers.items()}, **state.versions}
    # Without the reference nearly nothing is judged: it is missed wherever it was to take part.
    needed = {*wanted, *({"reference"} & {peer for instance in chosen for peer in instance.peers})}
    missing = {name: why for name, why in {**unavailable, **state.problems}.items() if name in needed}
    results = sorted([*state.results, *skipped], key=lambda result: result.instance.id)
    order = {instance.id: number for number, instance in enumerate(everything)}
    results.sort(key=lambda result: order[result.instance.id])
    summary = _report.Summary(
        options,
        registry,
        results,
        versions,
        missing,
        complaints,
        time.monotonic() - begin,
        state.interrupted,
        state.fault,
    )
    # What was found is said first: a full disk must not take it along, nor a reader that has gone the reports.
    try:
        terminal.summary(summary)
        if args.json:
            print(json.dumps(_report.as_document(summary)), flush=True)
    finally:
        _report.write_reports(summary, args.report)
    terminal.line(f"reports: {args.report}/report.json, {args.report}/junit.xml, {args.report}/transcripts/")
    if state.interrupted:
        print("interrupted", file=sys.stderr)
    if state.fault is not None:
        raise HarnessError(state.fault)
    return summary.exit_code(peers_required=args.require_all_peers)


def execute(
    chosen: Sequence[_case.Instance], options: Options, unavailable: dict[str, str], terminal: Terminal
) -> tuple[Run, list[Result]]:
    """Run what can run. The rest comes back apart: skipped where this machine lacks something that a peer is declared
    to need, and with the verdict on the peer where that did not start as it should.
    """
    runner = Runner(options, terminal.progress)
    settled: list[Result] = []

    async def work() -> None:
        first = await Worker.start(options, probe=True)
        runner.state.problems.update(first.hello["problems"])
        runner.state.versions.update(first.hello["versions"])
        for peer, found in first.hello["findings"].items():
            runner.state.findings[peer] = Attempt(Verdict(found["verdict"]), found["message"])
        lacking = {**unavailable, **runner.state.problems}
        ready = []
        for instance in chosen:
            attempt = _without_running(instance, lacking, runner.state.findings)
            if attempt is None:
                ready.append(instance)
            else:
                settled.append(Result(instance, attempt, 0))
                terminal.progress(settled[-1])
        await runner.run(ready, first=first)

    drive(runner, work)
    return runner.state, settled


def _without_running(
    instance: _case.Instance, lacking: Mapping[str, str], findings: Mapping[str, Attempt]
) -> Attempt | None:
    """What there is to say of an instance that needs no run to be judged, or cannot have one."""
    for peer in sorted(instance.peers & findings.keys()):
        return findings[peer]
    reasons = [f"peer {peer} cannot run here: {lacking[peer]}" for peer in sorted(instance.peers) if peer in lacking]
    return Attempt(Verdict.SKIPPED, "; ".join(reasons)) if reasons else None


def choose(
    everything: Sequence[_case.Instance], args: argparse.Namespace, wanted: Sequence[str]
) -> list[_case.Instance]:
    """The instances that ``--peer``, ``--case`` and ``--profile`` leave.

    Raises:
        UsageError: a profile does not exist.
    """
    profiles = {profile for instance in everything for profile in instance.case.profiles}
    for profile in args.profile or []:
        if profile not in profiles:
            raise UsageError(f"no profile {profile!r}; there are: {', '.join(sorted(profiles))}")
    return [
        instance
        for instance in everything
        if set(instance.subjects) & set(wanted)
        and (not args.case or _case.matches(instance.id, args.case))
        and (not args.profile or set(args.profile) & instance.case.profiles)
    ]


def read_known(path: Path | None) -> list[_known.KnownFinding]:
    """The known findings of the given file, of the packaged one, or none."""
    if path is not None and str(path) == "none":
        return []
    return _known.load(path or _known.default_path())


def show_list(chosen: Sequence[_case.Instance], args: argparse.Namespace, registry: _case.Registry) -> int:
    """Print the instances (or the catalogue as JSON); 3 when there is none."""
    if args.json:
        print(json.dumps({"cases": _case.catalogue(registry), "instances": [instance.id for instance in chosen]}))
    else:
        for instance in chosen:
            print(instance.id)
        cases = {instance.case.id for instance in chosen}
        print(f"{len(chosen)} instances of {len(cases)} cases", file=sys.stderr)
    return 0 if chosen else 3
