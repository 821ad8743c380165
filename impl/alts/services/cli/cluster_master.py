"""`alts serve cluster-master`: starts workloads of one cell and keeps them in credentials (ISSUE-7 to ISSUE-9)."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..._errors import UsageError
from .._book import AddressBook
from .._cluster import DAY, ClusterCore, ClusterSettings, MayRun
from .._issuers import ClusterService, IssuerLink
from .._lock import AGENT, SERVICE, only_process
from .._machine import Machine, Tenant
from . import SYSTEM, add_common, duration, freshness, guarded, pattern, require_role, run_service, segment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `alts serve cluster-master` to `parser`."""
    add_common(parser)
    parser.add_argument(
        "--agent",
        type=Path,
        metavar="DIR",
        help="state directory of this machine's ALTS daemon, which makes the handshake certificates (default: --state"
        " has a master key of its own)",
    )
    parser.add_argument("--cell", type=segment, required=True, metavar="NAME", help="the cell, one identity segment")
    parser.add_argument(
        "--workloads",
        action="append",
        required=True,
        type=pattern,
        metavar="PATTERN",
        help="identities of this cluster's workloads, signed into its base master; may be repeated",
    )
    parser.add_argument(
        "--may-run",
        action="append",
        required=True,
        type=_may_run,
        metavar="CLIENT=WORKLOAD",
        help="clients that may run workloads as these identities, two patterns; may be repeated",
    )
    parser.add_argument(
        "--operator", action="append", type=pattern, default=[], metavar="PATTERN", help="who may have all rotated"
    )
    parser.add_argument(
        "--rotation", type=duration, default=2 * DAY, metavar="S", help="seconds between rotations (2 days)"
    )
    parser.add_argument(
        "--lifetime", type=duration, default=4 * DAY, metavar="S", help="seconds of workload certificates (4 days)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0 or 3."""
    return guarded("serve cluster-master", args, _main)


async def _main(args: argparse.Namespace) -> None:
    with only_process(args.state, *((SERVICE,) if args.agent else (AGENT, SERVICE))):
        await _serve(args)


async def _serve(args: argparse.Namespace) -> None:
    book = AddressBook(args.book)
    stale = freshness(args)
    machine: Machine | Tenant
    if args.agent:
        machine = Tenant(args.agent, SYSTEM, book, stale)
    else:
        machine = Machine(args.state, SYSTEM, book, freshness=stale)
    name = require_role(machine, "cluster-master")
    settings = ClusterSettings(
        args.cell, tuple(args.workloads), tuple(args.may_run), tuple(args.operator), args.rotation, args.lifetime
    )
    core = ClusterCore(args.state / "service.sqlite", name, SYSTEM.clock, SYSTEM.random, settings)
    try:
        signing, crl = machine.remote("SigningService", "signing"), machine.remote("RevocationService", "crl")
        link = IssuerLink(core.issuing, signing, crl)
        service = ClusterService(core, link, machine.still_trusts)
        loops = [*machine.loops(args.tick), link.keep_reporting(args.tick), service.loop(args.tick)]
        await run_service("cluster-master", args, machine, [service.service], loops)
    finally:
        core.close()


def _may_run(text: str) -> MayRun:
    client, equals, workload = text.partition("=")
    try:
        if equals:
            return MayRun(client, workload)
    except UsageError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not CLIENT=WORKLOAD with two identity patterns")
