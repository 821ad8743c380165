"""The ``alts`` command: one entry, a subcommand for every room of the house (:mod:`._commands`).

Exit codes everywhere: 0 all well, 1 findings, 2 usage, 3 the harness itself failed (also: a command that ran nothing),
130 interrupted. This module and its package import next to nothing, so that Ctrl-C ends in one line from the first
moment on.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` would be loaded for this alone
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script, which gives no `argv`; its exit code."""
    try:
        from . import _commands

        return _commands.main(sys.argv[1:] if argv is None else argv, whole_process=argv is None)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        if argv is None:
            import signal

            # What is left is the interpreter's end, which has no handler of ours around it.
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
