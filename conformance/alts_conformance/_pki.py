"""`alts pki`: realm directories by hand, and policies with the questions that need a solver."""

from __future__ import annotations

import argparse

from alts.realm import cli as _realm

from . import policy_explain as _policy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands of realm directories, and `policy` beside them."""
    _realm.add_arguments(parser)
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    policy = commands.add_parser("policy", help="check, sign, show and question policies")
    _policy.add_arguments(policy)


def run(args: argparse.Namespace) -> int:
    """Exit code: see `alts.realm.cli.run` and `policy_explain.run`."""
    return _policy.run(args) if args.pki_command == "policy" else _realm.run(args)
