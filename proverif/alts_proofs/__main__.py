"""``python -m alts_proofs``: the same as ``alts prove``."""

from __future__ import annotations

import argparse
import sys

from alts_proofs.cli import add_arguments, run


def main() -> int:
    """Parses the command line and runs it; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m alts_proofs", description="compare the ProVerif scripts with their expected results"
    )
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
