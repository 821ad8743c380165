"""The subcommands of ``alts``, and what happens between the command line and one of them.

A subcommand's module is imported only when it is used, so that `alts prove` needs no gRPC and a broken room does not
break the others. Each offers ``add_arguments(parser)`` and ``run(args) -> int``.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: its words, the module behind it, one line of help."""

    words: tuple[str, ...]
    module: str
    help: str


COMMANDS = (
    Command(("conform",), "alts_conformance._conform", "run the conformance cases against peers and report"),
    Command(("prove",), "alts_proofs.cli", "compare the ProVerif scripts with their expected results"),
    Command(("vectors",), "alts_conformance._vectors", "generate, verify and lint the test vectors"),
    Command(("model",), "alts_model.cli", "explore, check and draw the state-machine model"),
    Command(("serve", "handshaker"), "alts.handshaker.cli", "serve grpc.gcp.HandshakerService with the real handshake"),
    Command(("serve", "signing"), "alts.services.cli.signing", "serve the Signing Service"),
    Command(("serve", "ca"), "alts.services.cli.ca", "serve the internal CA: users and machines"),
    Command(("serve", "cluster-master"), "alts.services.cli.cluster_master", "serve a cell's cluster master"),
    Command(("serve", "daemon"), "alts.services.cli.daemon", "serve a machine's agent"),
    Command(("serve", "crl"), "alts.services.cli.crl", "serve revocation IDs and files, and policies"),
    Command(("issuance",), "alts.services.cli.issuance", "found a realm of services, and operate it"),
    Command(("walkthrough",), "alts_conformance.walkthrough", "watch a realm of real processes at work"),
    Command(("attack",), "alts_conformance.attacks.cli", "run attacks as bytes, with and without the fix"),
    Command(("pki",), "alts_conformance._pki", "make and show realms, credentials and policies"),
    Command(("bench",), "alts_bench.cli", "measure"),
    Command(("doctor",), "alts_conformance._doctor", "what is installed, what can run here, what to do about the rest"),
)
_GROUPS = {"serve": "run a service"}
OK, FINDINGS, USAGE, HARNESS, INTERRUPTED = 0, 1, 2, 3, 130


def _selected(arguments: Sequence[str]) -> Command | None:
    words = tuple(word for word in arguments if not word.startswith("-"))
    for command in COMMANDS:
        if words[: len(command.words)] == command.words:
            return command
    return None


class _Parser(argparse.ArgumentParser):
    """A parser that notices when its help cannot be written; subcommands have parsers of the same class."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


def build_parser(selected: Command | None, module: ModuleType | None) -> argparse.ArgumentParser:
    """The parser with all names, and the options of the one subcommand that is used."""
    parser = _Parser(
        prog="alts",
        description="openalts: an open ALTS handshake and record protocol; model, proofs, vectors, conformance suite.",
        epilog="Exit codes: 0 all well, 1 findings, 2 usage, 3 the harness itself failed, 130 interrupted.",
    )
    try:
        version = importlib.metadata.version("openalts")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    parser.add_argument("--version", action="version", version=f"openalts {version}")
    top = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    groups: dict[str, argparse._SubParsersAction[_Parser]] = {}
    for command in COMMANDS:
        holder = top
        if len(command.words) == 2:
            name = command.words[0]
            if name not in groups:
                group = top.add_parser(name, help=_GROUPS[name], description=_GROUPS[name])
                groups[name] = group.add_subparsers(dest=f"{name}_command", metavar="WHAT", required=True)
            holder = groups[name]
        entry = holder.add_parser(command.words[-1], help=command.help, description=command.help)
        if command is selected and module is not None:
            module.add_arguments(entry)
    return parser


def main(arguments: Sequence[str], *, whole_process: bool) -> int:
    """Run the subcommand that `arguments` name; its exit code.

    Args:
        arguments: without the name of the program.
        whole_process: nothing else is going on in this process: an interruption may end it at once, where that is safe.

    Raises:
        KeyboardInterrupt: once a subcommand runs.
        SystemExit: usage errors, ``--help`` and ``--version``.
    """
    selected = _selected(arguments)
    closed = sys.stdout is None
    if whole_process:
        _open_standard_streams()
    try:
        return _run(arguments, selected, _ending_at_once() if whole_process else contextlib.nullcontext())
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to say, and the interpreter must not complain at exit.
        _drop_output()
        return HARNESS
    except OSError as error:
        # Above all: output that cannot be written. What no room has expected is no finding of the room either.
        with contextlib.suppress(OSError):
            where = f"{error.filename}: " if error.filename is not None else ""
            what = "stdout is closed" if closed and error.errno == errno.EBADF else error.strerror or error
            name = " ".join(("alts", *(selected.words if selected else ())))
            print(f"{name}: {where}{what}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return HARNESS
    except Exception as error:  # a mistake of ours; the interpreter's own exit code for it would be called findings
        if os.environ.get("OPENALTS_DEBUG"):
            raise
        name = " ".join(("alts", *(selected.words if selected else ())))
        what = " ".join(str(error).split())[:300]
        print(f"{name}: internal error: {type(error).__name__}: {what} (OPENALTS_DEBUG=1 shows where)", file=sys.stderr)
        return HARNESS


@contextlib.contextmanager
def _ending_at_once() -> Iterator[None]:
    """While modules are imported nothing is begun that would have to be undone: Ctrl-C may end the process on the spot.

    As an exception it would be at the mercy of whatever is being imported: some libraries catch everything there.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, as in the background of a shell, or somebody else's
        return

    def end(number: int, frame: object) -> None:
        with contextlib.suppress(OSError):
            os.write(2, b"interrupted\n")
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(arguments: Sequence[str], selected: Command | None, importing: contextlib.AbstractContextManager[None]) -> int:
    module: ModuleType | None = None
    if selected is not None:
        try:
            with importing:
                module = importlib.import_module(selected.module)
        except ImportError as error:
            print(
                f"alts {' '.join(selected.words)}: not available here: {error}. `alts doctor` says more.",
                file=sys.stderr,
            )
            return HARNESS
    try:
        args = build_parser(selected, module).parse_args(arguments)
    except SystemExit:
        sys.stdout.flush()  # --help and --version end here
        raise
    if module is None:
        return USAGE
    code: int = module.run(args)
    sys.stdout.flush()
    return code


def _open_standard_streams() -> None:
    """Give each standard stream that was closed a file again: else the next file that is opened takes its place.

    Nothing is read there, what is written to stderr is lost, and to write to stdout is an error.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _drop_output() -> None:
    """Send to nowhere what is left in the buffer of stdout, so that the interpreter does not fail on it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
