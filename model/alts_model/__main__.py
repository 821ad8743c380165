"""`python -m alts_model`: the same as `alts model`, with the same exit codes: what goes wrong here is no finding."""

from __future__ import annotations

import contextlib
import os
import sys

from alts_model import cli

INTERRUPTED = 130


def main() -> int:
    """Run the command; what nobody has expected, above all output that cannot be written, is 3 and one line."""
    try:
        try:
            code = cli.main()
        finally:
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read our output has gone
        pass
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror or str(error))
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:  # a mistake of ours; Python's own exit code for it would be called findings
        if os.environ.get("OPENALTS_DEBUG"):
            raise
        what = " ".join(str(error).split())[:300]
        _say(f"internal error: {type(error).__name__}: {what} (OPENALTS_DEBUG=1 shows where)")
    with contextlib.suppress(OSError):  # else the interpreter fails at its end on what it cannot write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return cli.HARNESS


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"alts model: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
