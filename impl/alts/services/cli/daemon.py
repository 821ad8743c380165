"""`alts serve daemon`: the ALTS daemon of a machine: its credentials and its workloads' (ISSUE-4, ISSUE-6, ISSUE-7)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ..._errors import ConfigurationError
from ...realm import _files
from .._agent import DAY, HOUR, AgentSettings
from .._book import AddressBook
from .._lock import AGENT, only_process
from .._machine import Machine, together
from .._others import NodeAgent
from . import SYSTEM, add_common, boundary, duration, freshness, guarded, load_token, stop_signal, tell_ready
from ._clear import channel_in_clear

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `alts serve daemon` to `parser`."""
    add_common(parser, listens=False)
    parser.add_argument(
        "--token", type=Path, metavar="FILE", help="enrolment token, for a machine that has no certificate yet"
    )
    parser.add_argument(
        "--boundary", type=boundary, default="", metavar="NAME", help="physical boundary of the machine"
    )
    parser.add_argument(
        "--handshake-lifetime",
        type=duration,
        default=6 * HOUR,
        metavar="S",
        help="seconds of the machine's handshake certificates (6 hours)",
    )
    parser.add_argument(
        "--master-rotation", type=duration, default=90 * DAY, metavar="S", help="seconds of a master key (90 days)"
    )
    parser.add_argument("--no-workloads", action="store_true", help="this machine runs no workloads")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0 or 3."""
    return guarded("serve daemon", args, _main)


async def _main(args: argparse.Namespace) -> None:
    with only_process(args.state, AGENT):
        await _serve(args)


async def _serve(args: argparse.Namespace) -> None:
    book = AddressBook(args.book)
    settings = AgentSettings(args.handshake_lifetime, args.master_rotation, args.boundary)
    machine = Machine(args.state, SYSTEM, book, settings, export=True, freshness=freshness(args))
    try:
        if machine.agent.master() is None:
            if args.token is None:
                raise ConfigurationError(f"{args.state}: this machine is not enrolled; give --token")
            await machine.enrol(load_token(args.token), lambda: channel_in_clear(*book.find("enrolment")))
        loops = machine.loops(args.tick)
        if not args.no_workloads:
            directory = args.state / "workloads"
            with _files.explained(directory):
                directory.mkdir(mode=_files.DIRECTORY_MODE, exist_ok=True)
            loops.append(NodeAgent(directory, machine.remote("ClusterMaster", "cluster-master")).loop(args.tick))
        background = asyncio.ensure_future(together(*loops))
        tell_ready("daemon", args, machine.identity, {})
        try:
            await stop_signal(background)
        finally:
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
    finally:
        machine.close()
