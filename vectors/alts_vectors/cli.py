"""`alts vectors generate|verify|lint`.

Who finds the implementation under test is the caller's business: this package knows its shape and imports none.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import _generate, _lint, _verify
from ._files import DATA, DEFAULT_SEED, KINDS, VECTORS_VERSION, UnreadableError, load_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from .target import ImplementationUnderTest

OK, FINDINGS, USAGE, HARNESS = 0, 1, 2, 3
DEFAULT_TARGET = "alts_conformance.vector_target:TARGET"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The three actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    make = actions.add_parser("generate", help="make the vectors from the model; the same bytes for the same seed")
    make.add_argument("--seed", default=DEFAULT_SEED, help="text that every key and nonce follows from (%(default)r)")
    make.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the files are not what is generated"
    )
    judge = actions.add_parser("verify", help="judge an implementation by the vectors")
    judge.add_argument(
        "--target",
        default=DEFAULT_TARGET,
        metavar="MODULE:NAME",
        help="an object that satisfies alts_vectors.ImplementationUnderTest (%(default)s)",
    )
    judge.add_argument("--kind", action="append", choices=KINDS, help="only this kind; may be repeated")
    judge.add_argument("--verbose", action="store_true", help="one line for each case, not only for those that fail")
    check = actions.add_parser("lint", help="check schemas, IDs, flags and reasons")
    for action in (make, judge, check):
        action.add_argument("--directory", type=Path, default=DATA, help="where the files are (the package's own)")
        action.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace, load_target: Callable[[str], ImplementationUnderTest]) -> int:
    """Exit code: 0 all well, 1 findings, 2 usage, 3 nothing could be run.

    Args:
        args: as parsed.
        load_target: returns the object that ``MODULE:NAME`` names, or raises LookupError with the reason.
    """
    try:
        match args.action:
            case "generate":
                return _run_generate(args)
            case "verify":
                return _run_verify(args, load_target)
            case _:
                return _run_lint(args)
    except (UnreadableError, OSError) as error:
        print(f"alts vectors: {error}", file=sys.stderr)
        return HARNESS


def _run_generate(args: argparse.Namespace) -> int:
    documents = _generate.generate(args.seed)
    count = sum(document["numberOfTests"] for document in documents.values())
    if args.check:
        paths, verb = _generate.differing(documents, args.directory), "differs from what is generated"
    else:
        paths, verb = _generate.write(documents, args.directory), "written"
    if args.json:
        print(
            json.dumps(
                {"version": VECTORS_VERSION, "cases": count, "check": args.check, "files": [str(p) for p in paths]}
            )
        )
    else:
        for path in paths:
            print(f"{path}: {verb}")
        same = "as generated" if args.check else "unchanged"
        print(f"{count} cases in {len(documents)} files; {len(documents) - len(paths)} {same}")
    return FINDINGS if args.check and paths else OK


def _run_verify(args: argparse.Namespace, load_target: Callable[[str], ImplementationUnderTest]) -> int:
    try:
        target = load_target(args.target)
    except LookupError as error:
        print(f"alts vectors: --target {args.target}: {error.args[0]}", file=sys.stderr)
        return USAGE
    documents = load_all(args.directory)
    chosen = {kind: document for kind, document in documents.items() if not args.kind or kind in args.kind}
    reports = list(_verify.verify(chosen, target))
    failed = [report for report in reports if not report.passed]
    if args.json:
        cases = [{"id": report.id, "passed": report.passed, "mismatch": report.mismatch} for report in reports]
        print(json.dumps({"version": VECTORS_VERSION, "target": target.name, "cases": cases}))
    else:
        for report in failed:
            print(f"FAIL {report.id}: {report.mismatch}")
        if args.verbose:
            for report in reports:
                if report.passed:
                    print(f"pass {report.id}")
        print(f"{target.name}: {len(reports) - len(failed)} of {len(reports)} cases agree")
    if not reports:
        return HARNESS
    return FINDINGS if failed else OK


def _run_lint(args: argparse.Namespace) -> int:
    documents = load_all(args.directory)
    findings = list(_lint.lint(documents))
    count = sum(len(group["tests"]) for document in documents.values() for group in document.get("testGroups", []))
    if args.json:
        print(json.dumps({"version": VECTORS_VERSION, "cases": count, "findings": findings}))
    else:
        for finding in findings:
            print(finding)
        print(f"{count} cases in {len(documents)} files, {len(findings)} findings")
    return FINDINGS if findings else OK
