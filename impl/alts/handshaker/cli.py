"""`alts serve handshaker`: run the handshaker service for the gRPC stacks of this host (SPEC 9).

SIGHUP has it read its realm directory again: credentials, policy, revocations and resumption keys.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import functools
import ipaddress
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .._config import Environment
from .._errors import ConfigurationError
from .._issuer import Realm
from .._messages import DEFAULT_HANDSHAKE_CIPHERS, HANDSHAKE_CIPHERS, RESUMPTION_ID_SIZE
from .._names import IDENTITY
from .._resumption import Resumption
from .._tickets import KEY_SIZE, ResumptionKeys
from ..realm import RealmDirectory
from ._identities import Identities
from ._service import HandshakerService, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .._config import Credential
    from .._trust import Trust

DEFAULT_LISTEN = "127.0.0.1:8080"
TEST_IDENTITIES = ("test/workload", "test/client", "test/server")
"""Held by the service of a generated test realm; the first is the default."""
EXIT_OK, EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 2, 3, 130


class _UsageError(Exception):
    """A command line that cannot be meant."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `alts serve handshaker` to `parser`."""
    parser.add_argument(
        "--listen",
        action="append",
        type=_address,
        metavar="ADDR:PORT",
        help=f"address to listen on, may be repeated, [::1]:PORT for IPv6, port 0 for a free one ({DEFAULT_LISTEN})",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--realm", type=Path, metavar="DIR", help="realm directory with the credentials to speak for")
    source.add_argument(
        "--test-realm", action="store_true", help=f"generate a realm in memory with {', '.join(TEST_IDENTITIES)}"
    )
    parser.add_argument(
        "--identity",
        metavar="NAME",
        help="default local identity: a credential's name in the realm, or an identity (default: the only one)",
    )
    parser.add_argument(
        "--cipher",
        action="append",
        choices=HANDSHAKE_CIPHERS,
        metavar="NAME",
        help=f"handshake cipher to allow, repeated in order of preference ({', '.join(DEFAULT_HANDSHAKE_CIPHERS)}); "
        f"there are: {', '.join(HANDSHAKE_CIPHERS)}",
    )
    parser.add_argument(
        "--no-resumption",
        action="store_true",
        help="make full handshakes only (default: identities with a resumption key in the realm resume)",
    )
    limits = Limits()
    parser.add_argument(
        "--max-handshakes",
        type=_positive_int,
        default=limits.handshakes,
        metavar="N",
        help=f"handshakes at one time ({limits.handshakes})",
    )
    parser.add_argument(
        "--timeout",
        type=_positive_float,
        default=limits.timeout,
        metavar="S",
        help=f"seconds for a whole handshake ({limits.timeout:g})",
    )
    parser.add_argument(
        "--idle-timeout",
        type=_positive_float,
        metavar="S",
        help="seconds to wait for each request of a stack (default: the whole timeout)",
    )
    parser.add_argument(
        "--grace",
        type=_positive_float,
        default=5.0,
        metavar="S",
        help="seconds that running handshakes get at shutdown (5)",
    )
    parser.add_argument("--verbose", action="store_true", help="log each handshake, complete or refused, to stderr")
    ready = parser.add_mutually_exclusive_group()
    ready.add_argument("--print-ready", action="store_true", help="when ready, print one JSON line with the ports")
    ready.add_argument(
        "--ready-fd", type=_descriptor, metavar="FD", help="write that line to an open file descriptor, and close it"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; a second one ends at once. Returns 0, 2 (usage), 3 (cannot serve) or 130.

    SIGHUP reads the realm directory again; if that fails, what was read before stays in force.
    """
    logging.basicConfig(level=logging.INFO if args.verbose else logging.ERROR, format="alts handshaker: %(message)s")
    try:
        if args.cipher and len(set(args.cipher)) != len(args.cipher):
            raise _UsageError("--cipher: one of them twice")
        held = _Held(args.cipher or DEFAULT_HANDSHAKE_CIPHERS, resume=not args.no_resumption)
        if args.test_realm:
            return asyncio.run(_serve(args, _test_identities(args.identity, held)))
        load = functools.partial(_read_realm, args.realm, args.identity, held)
        return asyncio.run(_serve(args, load(), load))
    except _UsageError as error:
        print(f"alts serve handshaker: {error}", file=sys.stderr)
        return EXIT_USAGE
    except ConfigurationError as error:
        print(f"alts serve handshaker: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:  # before it was ready
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


async def _serve(args: argparse.Namespace, identities: Identities, load: Callable[[], Identities] | None = None) -> int:
    addresses: list[str] = args.listen or [DEFAULT_LISTEN]
    limits = Limits(args.max_handshakes, args.timeout, args.idle_timeout or args.timeout)
    service = HandshakerService(identities, Environment(time.time, os.urandom), limits)
    stop = asyncio.Event()
    at_once = asyncio.Event()

    def on_signal() -> None:
        (at_once if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    if load is not None:
        loop.add_signal_handler(signal.SIGHUP, _reload, args, service, load)
    ports = await service.start(addresses)
    bound = [f"{address.rpartition(':')[0]}:{port}" for address, port in zip(addresses, ports, strict=True)]
    for address in bound:
        if not ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).is_loopback:
            warning = f"{address} is no loopback address: whoever reaches it can get session keys, in clear"
            print(f"alts serve handshaker: {warning}", file=sys.stderr)
    try:
        _tell_ready(args, bound, ports, identities)
        await stop.wait()
    except OSError as error:
        print(f"alts serve handshaker: cannot say that it is ready: {error}", file=sys.stderr)
        await service.stop(0)
        return EXIT_FAILED
    stopping = asyncio.ensure_future(service.stop(args.grace))
    hurry = asyncio.ensure_future(at_once.wait())
    await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    await service.stop(0)
    await stopping
    return EXIT_OK


def _tell_ready(args: argparse.Namespace, bound: Sequence[str], ports: Sequence[int], identities: Identities) -> None:
    document = {"ready": True, "listen": list(bound), "ports": list(ports), "identity": identities.default}
    if args.ready_fd is not None:
        with os.fdopen(args.ready_fd, "w", encoding="ascii") as stream:
            stream.write(json.dumps(document) + "\n")
    elif args.print_ready:
        print(json.dumps(document), flush=True)
    if not args.print_ready:
        where = ", ".join(bound)
        with contextlib.suppress(BrokenPipeError):
            print(f"alts handshaker: ready on {where}, default identity {identities.default}", flush=True)


def _reload(args: argparse.Namespace, service: HandshakerService, load: Callable[[], Identities]) -> None:
    """Read the realm again, and say what came of it; handshakes that run are not touched."""
    try:
        service.use(load())
    except (ConfigurationError, _UsageError) as error:
        print(f"alts serve handshaker: not reloaded, the old realm stays in force: {error}", file=sys.stderr)
        document: dict[str, object] = {"reloaded": False, "error": str(error)}
    else:
        document = {"reloaded": True}
    with contextlib.suppress(OSError):  # nobody reads any more: no reason to end
        if args.print_ready:
            print(json.dumps(document), flush=True)
        elif document["reloaded"]:
            print("alts handshaker: reloaded", flush=True)


class _Held:
    """What outlives a reload: the ciphers, and of each identity the tickets that it holds and the secrets it used."""

    def __init__(self, ciphers: Sequence[str], *, resume: bool) -> None:
        self.resume = resume
        self._ciphers = ciphers
        self._states: dict[str, Resumption] = {}

    def identities(
        self, default: Credential, others: Iterable[Credential], trust: Trust, keys: Mapping[str, ResumptionKeys]
    ) -> Identities:
        """Collect credentials; those of an identity with keys resume. If it raises, nothing has changed."""
        states = {identity: self._states.get(identity) or Resumption() for identity in keys}
        made = Identities.of(default, others, trust, ciphers=self._ciphers, resumption=states)
        for identity, state in states.items():
            state.keys = keys[identity]
        self._states |= states
        return made


def _read_realm(path: Path, wanted: str | None, state: _Held) -> Identities:
    """Take every credential of a realm directory, and the resumption keys of their identities."""
    realm = RealmDirectory.load(path)
    held = {name: realm.credential(name) for name in realm.names()}
    if not held:
        raise ConfigurationError(f"{path}: the realm has no credential; make one with `alts pki issue`")
    if wanted is None and len(held) > 1:
        raise _UsageError(f"--identity is needed, one of: {', '.join(held)}")
    name = next(iter(held)) if wanted is None else wanted
    if name not in held:
        name = next((other for other, credential in held.items() if credential.identity == name), "")
    if not name:
        raise _UsageError(f"--identity {wanted}: no credential has that name or identity; there are: {', '.join(held)}")
    identities = {credential.identity for credential in held.values()} if state.resume else set()
    found = {identity: realm.resumption_keys(identity) for identity in identities}
    keys = {identity: own for identity, own in found.items() if own is not None}
    return state.identities(held[name], held.values(), realm.trust(), keys)


def _test_identities(wanted: str | None, state: _Held) -> Identities:
    names = dict.fromkeys((wanted, *TEST_IDENTITIES) if wanted else TEST_IDENTITIES)
    for name in names:
        if not IDENTITY.fullmatch(name):
            raise _UsageError(f"--identity {name!r}: not an identity (SPEC 4.3)")
    realm = Realm(os.urandom, int(time.time()))
    default, *others = (realm.workload(name) for name in names)
    keys = {
        name: ResumptionKeys(os.urandom(RESUMPTION_ID_SIZE), {1: os.urandom(KEY_SIZE)})
        for name in (names if state.resume else ())
    }
    return state.identities(default, others, realm.trust(), keys)


def _address(text: str) -> str:
    """Check ADDR:PORT; addresses only, so that no name server is asked."""
    host, colon, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
        bracketed = host.startswith("[")
        if not colon or bracketed is not (address.version == 6):
            raise ValueError
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDR:PORT with an IP address, IPv6 in []") from None
    return text


def _descriptor(text: str) -> int:
    """Check a file descriptor; before any of ours is opened, which could take its number."""
    try:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        os.fstat(int(text))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no open file descriptor: {error.strerror}") from None
    return int(text)


def _positive_int(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _positive_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value
