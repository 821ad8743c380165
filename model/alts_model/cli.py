"""`alts model explore|check|diagram`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from alts_model.attacker import BOUNDS
from alts_model.check import CheckResult, repository, run_checks
from alts_model.diagram import FORMATS, page
from alts_model.exploration import explore, reflections, search
from alts_model.nodes import Result
from alts_model.properties import PROPERTIES
from alts_model.scenario import HANDSHAKE_REQUIREMENTS, scenarios
from alts_model.searches import REFLECTION, SEARCHES, family
from alts_model.tables import TABLES
from alts_model.weakening import CHECKS, UNKNOWN_KEY_SHARE

OK, FINDINGS, USAGE, HARNESS = 0, 1, 2, 3

_NEVER_VACUOUS = {"ClientStarts", "ServerAccepts", "ClientCompletes", "ServerCompletes", "delivered"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three commands on a parser."""
    commands = parser.add_subparsers(dest="model_command", required=True, metavar="COMMAND")
    look = commands.add_parser("explore", help="search for attacks within bounds (Dolev-Yao)")
    look.add_argument("--sessions", type=_positive, default=2, metavar="N", help="protocol sessions a role (default 2)")
    look.add_argument(
        "--without",
        action="append",
        default=[],
        choices=sorted(CHECKS),
        metavar="CHECK",
        help="leave a check out; may be repeated",
    )
    look.add_argument(
        "--property",
        action="append",
        default=[],
        choices=sorted(PROPERTIES),
        metavar="NAME",
        help="look at this property only; may be repeated",
    )
    look.add_argument(
        "--search",
        choices=["handshake", *SEARCHES, "reflection", "all"],
        default="handshake",
        help="what to search: the handshake (default), its ciphers and what leaks, resumption, reflected tickets",
    )
    look.add_argument("--all-twins", action="store_true", help="also explore without each check in turn")
    look.add_argument("--list", action="store_true", help="list the checks that can be left out, and stop")
    look.add_argument("--json", action="store_true", help="print one JSON document")
    test = commands.add_parser("check", help="check the tables, the machine and the documents; prove with z3")
    test.add_argument("--json", action="store_true", help="print one JSON document")
    test.add_argument(
        "--require-all",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="a check that cannot run here is a failure, exit 3 (default where CI is set)",
    )
    draw = commands.add_parser("diagram", help="draw the state machines from the tables")
    draw.add_argument("--format", choices=[*FORMATS, "markdown"], default="mermaid")
    draw.add_argument("--role", choices=sorted(TABLES), default="client", help="which machine (markdown has them all)")
    draw.add_argument("--output", type=Path, metavar="FILE", help="write to a file")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def run(args: argparse.Namespace) -> int:
    """Run the command that was parsed; the exit code is 0, 1 (findings), 2 (usage) or 3 (nothing could be said)."""
    if args.model_command == "explore":
        return _list() if args.list else _explore(args)
    if args.model_command == "check":
        return _check(args)
    return _diagram(args)


def main(argv: list[str] | None = None) -> int:
    """Entry point of `python -m alts_model`."""
    parser = argparse.ArgumentParser(prog="alts model", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _list() -> int:
    for check in CHECKS.values():
        seen = "attack within the default bounds" if check.visible else f"not visible: {check.note}"
        print(f"{check.name:28} {', '.join(check.requirements):18} {check.text} ({seen})")
    return OK


class _Report:
    """Runs searches, prints each, and keeps what the exit code depends on."""

    def __init__(self, sessions: int, *, quiet: bool) -> None:
        self.sessions = sessions
        self.quiet = quiet
        self.runs: list[dict[str, object]] = []
        self.code = OK

    def say(self, text: str = "") -> None:
        if not self.quiet:
            print(text, flush=True)

    def search(self, without: frozenset[str], properties: frozenset[str], expected: bool | None) -> None:
        """One search over all scenarios. `expected`: whether an attack is to be found; None: either is well."""
        if without:
            texts = "; ".join(f"{name} ({CHECKS[name].text})" for name in sorted(without))
            self.say(f"\nwithout {texts}")
        found = None
        for result in explore(self.sessions, without, properties):
            self._show(result)
            vacuous = sorted(_NEVER_VACUOUS - result.reached) if result.violation is None else []
            if vacuous:
                self.say(f"  FAILED: never reached between honest sessions: {', '.join(vacuous)}")
                self.code = HARNESS
            found = result if result.violation is not None else found
            shown: tuple[str, ...] = ()
            if expected is False and result.violation is None and not vacuous and properties == PROPERTIES:
                shown = HANDSHAKE_REQUIREMENTS
            elif expected and result.violation is not None and len(without) == 1:  # a check that is missed is one
                shown = CHECKS[next(iter(without))].requirements
            self.runs.append(_json(result, vacuous, shown))
        if expected is not None and expected != (found is not None):
            self.say("  UNEXPECTED: " + ("an attack should have been found" if expected else "no attack was expected"))
            self.code = max(self.code, FINDINGS)
        if found is None and without:
            notes = [CHECKS[name].note for name in sorted(without) if CHECKS[name].note]
            self.say("  the explorer does not see this removal" + "".join(f": {note}" for note in notes))

    def family(self, name: str) -> None:
        """The scenarios about ciphers or resumption, each of which says what must be found."""
        self.say(f"\n{name}")
        for scenario in family(name):
            self.say(f"  {scenario.text}")
            result = search(scenario)
            self._show(result)
            found = None if result.violation is None else result.violation.name
            vacuous = [] if found else sorted({"ClientCompletes", "ServerCompletes", "delivered"} - result.reached)
            as_expected = found == scenario.violated and not vacuous
            self.runs.append(_json(result, vacuous, scenario.requirements if as_expected else ()))
            if vacuous:
                self.say(f"  FAILED: never reached between honest sessions: {', '.join(vacuous)}")
                self.code = HARNESS
            if found != scenario.violated:
                expected = "no attack" if scenario.violated is None else f"an attack on {scenario.violated}"
                self.say(f"  UNEXPECTED: {expected} was expected")
                self.code = max(self.code, FINDINGS)
            elif found:
                self.say("  as expected: a trade-off or a stolen key, shown and not hidden")

    def reflections(self) -> None:
        """A ticket reflected, with none of six checks and with each alone."""
        self.say("\nreflected tickets: authentication without all six checks, then with one of them")
        for kept, result in reflections():
            self.say(f"  with {kept} ({CHECKS[kept].text}) alone" if kept else "  with none of them")
            self._show(result)
            as_expected = (result.violation is None) == bool(kept)
            self.runs.append(_json(result, [], REFLECTION.requirements if as_expected else ()))
            if not as_expected:
                self.say("  UNEXPECTED")
                self.code = max(self.code, FINDINGS)

    def _show(self, result: Result) -> None:
        self.say(
            f"  {result.scenario}: {result.states} states, {result.transitions} transitions, {result.refused} messages "
            f"without effect, messages up to depth {result.message_depth}, {result.seconds:.1f} s"
        )
        if result.violation is None:
            self.say("  no attack within these bounds")
        for line in result.trace:
            self.say(f"    {line}")


def _explore(args: argparse.Namespace) -> int:
    if args.all_twins and (args.without or args.property):
        print("--all-twins goes with neither --without nor --property", file=sys.stderr)
        return USAGE
    others = args.without or args.property or args.sessions != 2
    if args.search != "handshake" and (others or (args.all_twins and args.search != "all")):
        print(
            "--search goes with none of --without, --property, --sessions; --all-twins only with all", file=sys.stderr
        )
        return USAGE
    report = _Report(args.sessions, quiet=args.json)
    properties = frozenset(args.property) or PROPERTIES
    without = frozenset(args.without)
    report.say(f"Bounds: {args.sessions} sessions a role.")
    for scenario in scenarios(args.sessions):
        report.say(f"  {scenario.name}: {scenario.text}")
    report.say("\n".join(f"  {line}" for line in BOUNDS.splitlines()))
    if args.search not in ("handshake", "all"):
        pass
    elif not args.all_twins:
        report.say("\nThe protocol" if not without else "")
        report.search(without, properties, _expected(without, properties, args.sessions))
    else:
        report.say("\nThe protocol, with every check in place")
        report.search(frozenset(), properties, False)
        for name in CHECKS:
            one = frozenset({name})
            report.search(one, properties, _expected(one, properties, args.sessions))
        pair = frozenset({"unknown key share"})
        report.search(UNKNOWN_KEY_SHARE, pair, _expected(UNKNOWN_KEY_SHARE, pair, args.sessions))
    for name in SEARCHES:
        if args.search in (name, "all"):
            report.family(name)
    if args.search in ("reflection", "all"):
        report.reflections()
    if args.json:
        document = {"sessions": args.sessions, "bounds": BOUNDS.splitlines(), "runs": report.runs, "exit": report.code}
        print(json.dumps(document, indent=2))
    return report.code


def _expected(without: frozenset[str], properties: frozenset[str], sessions: int) -> bool | None:
    """Whether these switches should show an attack; None where the bounds or properties are not the default ones."""
    if not without:
        return False
    if sessions < 2:
        return None
    if properties == PROPERTIES:
        return any(CHECKS[name].visible for name in without)
    return True if (without, properties) == (UNKNOWN_KEY_SHARE, frozenset({"unknown key share"})) else None


def _json(result: Result, vacuous: Iterable[str], evidence: Iterable[str]) -> dict[str, object]:
    """`evidence`: the requirements that this run shows, none unless it ended as expected."""
    return {
        "scenario": result.scenario,
        "evidence": list(evidence),
        "without": list(result.without),
        "states": result.states,
        "transitions": result.transitions,
        "messages_without_effect": result.refused,
        "message_depth": result.message_depth,
        "seconds": round(result.seconds, 3),
        "reached": sorted(result.reached),
        "vacuous": list(vacuous),
        "result": "no attack within these bounds" if result.violation is None else "attack",
        "violation": None if result.violation is None else asdict(result.violation),
        "trace": result.trace,
    }


def _check(args: argparse.Namespace) -> int:
    results = run_checks(repository())
    failed = [result for result in results if result.findings]
    skipped = [result for result in results if result.skipped]
    if args.json:
        documents = [{**asdict(result), "verdict": result.verdict} for result in results]
        print(json.dumps({"checks": documents}, indent=2))
    else:
        for result in sorted(results, key=lambda result: not result.findings):
            _print_check(result)
        print(f"{len(results) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped")
    if failed:
        return FINDINGS
    return HARNESS if len(skipped) == len(results) or (skipped and args.require_all) else OK


def _print_check(result: CheckResult) -> None:
    if result.skipped:
        print(f"SKIPPED {result.name}: {result.skipped}")
        return
    about = [", ".join(result.requirements)] if result.requirements else []
    about += [] if result.seconds is None else [f"{result.seconds:.2f} s"]
    tail = f" [{'; '.join(about)}]" if about else ""
    print(f"{'FAILED ' if result.findings else 'ok     '} {result.name}: {result.detail}{tail}")
    for note in result.notes:
        print(f"          {note}")
    for finding in result.findings:
        print(f"          {finding}")


def _diagram(args: argparse.Namespace) -> int:
    text = page() if args.format == "markdown" else FORMATS[args.format](args.role)
    if args.output is None:
        sys.stdout.write(text)
        return OK
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"cannot write {args.output}: {error.strerror}", file=sys.stderr)
        return HARNESS
    return OK
