"""`alts serve signing|ca|cluster-master|daemon|crl` and `alts issuance`: one module for each command.

What they share is here: options, address book, the ready line, an orderly end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._config import Environment
from ..._errors import AltsError, ConfigurationError
from ..._names import IDENTITY, PATTERN
from ...grpclib_adapter import serve
from ...policy import Freshness
from ...realm import _files
from ...realm._arguments import BadArgument, check_boundary, check_identity, check_segment
from .._book import AddressBook, parse_address
from .._ca import Token
from .._machine import Machine, Tenant, together
from .._proofs import TOKEN_ID_SIZE, TOKEN_SIZE
from ._clear import serve_in_clear

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import grpclib.server

    from .._rpc import Service

EXIT_OK, EXIT_FINDINGS, EXIT_USAGE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
SYSTEM = Environment(time.time, os.urandom)
_TOKEN_FORMAT = 1
_ABOUT_STRANGERS = ("alts.aio", "grpclib")


def add_common(parser: argparse.ArgumentParser, *, listens: bool = True) -> None:
    """Add the options that every service has."""
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="state directory of this process")
    parser.add_argument(
        "--book", type=Path, required=True, metavar="FILE", help="address book: JSON, name of a service to ADDRESS:PORT"
    )
    if listens:
        parser.add_argument(
            "--listen", type=address, default=("127.0.0.1", 0), metavar="ADDR:PORT", help="address (127.0.0.1:0)"
        )
        parser.add_argument("--enter", action="store_true", help="write the bound address into the address book")
    parser.add_argument(
        "--tick",
        type=seconds,
        default=1.0,
        metavar="S",
        help="seconds between looks at what is due, and of retries (1)",
    )
    parser.add_argument(
        "--stale-after", type=seconds, metavar="S", help="seconds after which the revocation file is stale (never)"
    )
    parser.add_argument(
        "--fail-closed", action="store_true", help="accept nobody by a stale revocation file (default: warn)"
    )
    parser.add_argument("--print-ready", action="store_true", help="when ready, print one JSON line with the address")
    parser.add_argument("--verbose", action="store_true", help="log to stderr also what is done and refused")


def freshness(args: argparse.Namespace) -> Freshness:
    """Return what the options say about a stale revocation file."""
    return Freshness(math.inf if args.stale_after is None else args.stale_after, args.fail_closed)


def address(text: str) -> tuple[str, int]:
    """Check ADDR:PORT."""
    try:
        return parse_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDR:PORT with an IP address, IPv6 in []") from None


def seconds(text: str) -> float:
    """Check a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def duration(text: str) -> int:
    """Check a whole number of seconds, 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds")
    return int(text)


def pattern(text: str) -> str:
    """Check an identity pattern (SPEC 4.4)."""
    if not PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an identity pattern")
    return text


def utf8(argument: str) -> str:
    """Check that an argument is text: its bytes are valid in the locale's encoding, which is UTF-8."""
    if not is_text(argument):
        raise argparse.ArgumentTypeError(f"{argument!r} is not UTF-8 text")
    return argument


def is_text(given: str) -> bool:
    """Tell whether what Python took from outside was text: where it was not, it has lone surrogates."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def identity(text: str) -> str:
    """Check an identity (SPEC 4.3)."""
    return _checked(text, lambda: check_identity(text, "IDENTITY"))


def segment(text: str) -> str:
    """Check one segment of an identity (SPEC 4.3)."""
    return _checked(text, lambda: check_segment(text, "NAME"))


def boundary(text: str) -> str:
    """Check a physical boundary (SPEC 4.7)."""
    return _checked(text, lambda: check_boundary(text))


def _checked(text: str, check: Callable[[], None]) -> str:
    try:
        check()
    except BadArgument as error:
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from None  # it names the argument
    return text


def guarded(name: str, args: argparse.Namespace, main: Callable[[argparse.Namespace], Any]) -> int:
    """Run a command's coroutine function; its errors become exit codes."""
    log_to_stderr(name, verbose=getattr(args, "verbose", False))
    try:
        # the directory of this machine: of its daemon, where that is another process
        require_installed(getattr(args, "machine", None) or getattr(args, "agent", None) or args.state)
        asyncio.run(main(args))
    except (AltsError, OSError, TimeoutError) as error:
        print(f"alts {name}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:  # not while serving: there it is an order to end, and obeyed
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_OK


def log_to_stderr(name: str, *, verbose: bool) -> None:
    """Log warnings and errors, one line each with the command's name; `verbose`: also what is done and refused.

    What `alts.aio` and grpclib say is about connections of whoever reaches a port: only if `verbose`, since else any
    stranger could fill a disk. What goes wrong in a service's own methods is logged by `Service`.
    """
    handler = logging.StreamHandler()
    if not verbose:
        handler.addFilter(lambda record: not record.name.startswith(_ABOUT_STRANGERS))
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format=f"alts {name}: %(message)s", handlers=[handler])


def require_installed(state: Path) -> None:
    """Refuse a directory that is no machine's.

    Raises:
        ConfigurationError: says how one is made.
    """
    with _files.explained(state):
        installed = (state / "trust").exists()
    if not installed:
        raise ConfigurationError(
            f"{state}: is no state directory, it has no folder `trust` (made by `alts issuance found` for services, by"
            " `alts issuance install` for other machines)"
        )


def require_role(machine: Machine | Tenant, name: str) -> str:
    """Return the identity of a service, which has to be that of this machine.

    Raises:
        ConfigurationError: it is another's.
    """
    wanted, found = machine.beliefs.anchors.services[name], machine.identity
    if wanted != found:
        raise ConfigurationError(f"the anchors say that the {name} service is {wanted}; this machine is {found}")
    return found


async def run_service(
    name: str,
    args: argparse.Namespace,
    machine: Machine | Tenant,
    services: Sequence[Service],
    loops: Sequence[Awaitable[None]],
    *,
    clear: tuple[str, tuple[str, int], Service] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        name: in the address book.
        args: the options.
        machine: whose credential is used.
        services: to serve over ALTS.
        loops: to run beside.
        clear: a service spoken in clear: its name in the address book, where it listens, the service.

    Raises:
        OSError: an address cannot be listened on.
    """
    book = AddressBook(args.book)
    servers: list[grpclib.server.Server] = []
    bound: dict[str, str] = {}
    background = asyncio.ensure_future(together(*loops))
    try:
        if services:
            host, port = args.listen
            protected = await serve(services, host, port, configuration=machine.holder, environment=machine.environment)
            servers.append(protected)
            bound[name] = _written(host, protected.port)
        if clear is not None:
            plain, port = await serve_in_clear(clear[2], *clear[1])
            servers.append(plain)
            bound[clear[0]] = _written(clear[1][0], port)
        for entry, where in bound.items():
            if args.enter:
                book.enter(entry, where)
        tell_ready(name, args, machine.identity, bound)
        await stop_signal(background)
    finally:
        background.cancel()
        for server in servers:
            server.close()
        await asyncio.gather(background, *(server.wait_closed() for server in servers), return_exceptions=True)
        machine.close()


async def stop_signal(background: asyncio.Future[None]) -> None:
    """Wait for SIGTERM or SIGINT, or for the end of `background`, whose error is raised."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    waiting = asyncio.ensure_future(stop.wait())
    either: set[asyncio.Future[Any]] = {waiting, background}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if background.done():
        background.result()


def tell_ready(name: str, args: argparse.Namespace, identity: str, bound: dict[str, str]) -> None:
    """Say that the process is ready: one JSON line, or one for people."""
    if args.print_ready:
        print(json.dumps({"ready": True, "service": name, "identity": identity, "listen": bound}), flush=True)
        return
    where = f" on {', '.join(bound.values())}" if bound else ""
    with contextlib.suppress(BrokenPipeError):
        print(f"alts {name}: {identity} is ready{where}", flush=True)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def save_token(path: Path, token: Token) -> None:
    """Write an enrolment token into a file, mode 0600. Raises ConfigurationError."""
    document = {"token_id": token.token_id.hex(), "token": token.token.hex(), "identity": token.identity}
    _files.replace(path, _files.json_bytes(document, version=_TOKEN_FORMAT))


def load_token(path: Path) -> Token:
    """Read an enrolment token.

    Raises:
        ConfigurationError: the file is missing, damaged, or others may read it.
    """
    document = _files.read_json(path, {"token_id", "token", "identity"}, version=_TOKEN_FORMAT, private=True)
    try:
        token_id, key = (bytes.fromhex(document[name]) for name in ("token_id", "token"))
        right = IDENTITY.fullmatch(document["identity"]) and (len(token_id), len(key)) == (TOKEN_ID_SIZE, TOKEN_SIZE)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ConfigurationError(f"{path}: is not an enrolment token")
    return Token(token_id, key, document["identity"])
