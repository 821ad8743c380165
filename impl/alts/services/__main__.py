"""`python -m alts.services NAME …`: what `alts serve NAME …` and `alts issuance …` do, without the other rooms.

The exit codes are the same too: what goes wrong here is 3, and not Python's own 1, which would be called findings.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from .cli import EXIT_FAILED, EXIT_INTERRUPTED, ca, cluster_master, crl, daemon, issuance, signing

COMMANDS = {
    "signing": signing,
    "ca": ca,
    "cluster-master": cluster_master,
    "daemon": daemon,
    "crl": crl,
    "issuance": issuance,
}


def main() -> int:
    """Run the command; what nobody has expected, above all output that cannot be written, is 3 and one line."""
    try:
        try:
            code = _run()
        finally:
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read our output has gone
        pass
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror or str(error))
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:  # a mistake of ours
        if os.environ.get("OPENALTS_DEBUG"):
            raise
        what = " ".join(str(error).split())[:300]
        _say(f"internal error: {type(error).__name__}: {what} (OPENALTS_DEBUG=1 shows where)")
    with contextlib.suppress(OSError):  # else the interpreter fails at its end on what it cannot write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_FAILED


def _run() -> int:
    parser = argparse.ArgumentParser(prog="python -m alts.services", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=module.__doc__))
    args = parser.parse_args()
    code: int = COMMANDS[args.command].run(args)
    return code


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"alts.services: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
