"""`alts serve ca`: the internal CA for humans and machines (ISSUE-5, ISSUE-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._book import AddressBook
from .._ca import DAY, CaCore, CaSettings
from .._issuers import CaService, IssuerLink
from .._lock import AGENT, SERVICE, only_process
from .._machine import Machine, forever
from . import SYSTEM, add_common, address, duration, freshness, guarded, require_role, run_service

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `alts serve ca` to `parser`."""
    add_common(parser)
    parser.add_argument(
        "--enrol-listen",
        type=address,
        metavar="ADDR:PORT",
        help="address of the enrolment service, which is spoken in clear (default: none)",
    )
    parser.add_argument(
        "--machine-lifetime",
        type=duration,
        default=180 * DAY,
        metavar="S",
        help="seconds of a machine's master certificate, 0: no expiry (180 days)",
    )
    parser.add_argument(
        "--overlap", type=duration, default=7 * DAY, metavar="S", help="seconds till a replaced one is revoked (7 days)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0 or 3."""
    return guarded("serve ca", args, _main)


async def _main(args: argparse.Namespace) -> None:
    with only_process(args.state, AGENT, SERVICE):
        await _serve(args)


async def _serve(args: argparse.Namespace) -> None:
    machine = Machine(args.state, SYSTEM, AddressBook(args.book), freshness=freshness(args))
    name = require_role(machine, "ca")
    settings = CaSettings(args.machine_lifetime, args.overlap, founding=machine.beliefs.anchors.services["founding"])
    core = CaCore(args.state / "service.sqlite", name, SYSTEM.clock, SYSTEM.random, settings)
    try:
        signing, crl = machine.remote("SigningService", "signing"), machine.remote("RevocationService", "crl")
        link = IssuerLink(core.issuing, signing, crl)
        service = CaService(core, link, machine.still_trusts)
        loops = [
            *machine.loops(args.tick),
            link.keep_reporting(args.tick),
            forever("what a crash left unanswered", service.recover, 60.0, retry=args.tick),
        ]
        clear = ("enrolment", args.enrol_listen, service.enrolment) if args.enrol_listen else None
        await run_service("ca", args, machine, [service.service], loops, clear=clear)
    finally:
        core.close()
