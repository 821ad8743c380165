"""`alts serve crl`: the CRL service: ID ranges, mapping reports, the revocation file (REVOKE-3 to REVOKE-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ...realm import _files
from .._book import AddressBook
from .._crl import CrlCore, CrlSettings
from .._found import revocation_signer
from .._lock import AGENT, SERVICE, only_process
from .._machine import Machine
from .._others import CrlService
from .._store import require_database
from . import SYSTEM, add_common, duration, freshness, guarded, pattern, require_role, run_service

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `alts serve crl` to `parser`."""
    add_common(parser)
    parser.add_argument(
        "--issuer",
        action="append",
        type=pattern,
        default=[],
        metavar="PATTERN",
        help="who gets ranges of revocation IDs, may be repeated (default: the CA and the cluster master of the realm)",
    )
    parser.add_argument(
        "--operator", action="append", type=pattern, default=[], metavar="PATTERN", help="who may revoke every ID"
    )
    parser.add_argument(
        "--max-age", type=duration, default=3600, metavar="S", help="seconds after which the file is made anew (3600)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0 or 3."""
    return guarded("serve crl", args, _main)


async def _main(args: argparse.Namespace) -> None:
    with only_process(args.state, AGENT, SERVICE):
        await _serve(args)


async def _serve(args: argparse.Namespace) -> None:
    machine = Machine(args.state, SYSTEM, AddressBook(args.book), freshness=freshness(args))
    require_role(machine, "crl")
    key = Ed25519PrivateKey.from_private_bytes(_files.read_key(args.state / "revocation.key"))
    named = machine.beliefs.anchors.services
    settings = CrlSettings(
        tuple(args.issuer) or (named["ca"], named["cluster-master"]), tuple(args.operator), args.max_age, named["ca"]
    )
    path = require_database(args.state / "service.sqlite")
    core = CrlCore(path, SYSTEM.clock, revocation_signer(key), settings)
    try:
        service = CrlService(core, machine.beliefs, machine.still_trusts)
        loops = [machine.keep_credentials(args.tick), service.loop(args.tick)]
        await run_service("crl", args, machine, [service.service], loops)
    finally:
        core.close()
