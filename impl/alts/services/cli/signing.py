"""`alts serve signing`: the Signing Service, which holds the realm's root key (ISSUE-2, CRED-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._book import AddressBook
from .._lock import AGENT, SERVICE, only_process
from .._machine import Machine
from .._others import signing_service
from .._signing import SigningCore
from .._store import require_database
from . import SYSTEM, add_common, freshness, guarded, require_role, run_service

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `alts serve signing` to `parser`."""
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0 or 3."""
    return guarded("serve signing", args, _main)


async def _main(args: argparse.Namespace) -> None:
    with only_process(args.state, AGENT, SERVICE):
        await _serve(args)


async def _serve(args: argparse.Namespace) -> None:
    machine = Machine(args.state, SYSTEM, AddressBook(args.book), freshness=freshness(args))
    require_role(machine, "signing")
    core = SigningCore(require_database(args.state / "service.sqlite"), SYSTEM.clock, SYSTEM.random)
    try:
        core.require_root(machine.beliefs.anchors.verification_key)
        service = signing_service(core, machine.still_trusts)
        await run_service("signing", args, machine, [service], machine.loops(args.tick))
    finally:
        core.close()
