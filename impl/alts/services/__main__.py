"""`python -m alts.services NAME …`: what `alts serve NAME …` and `alts issuance …` do, without the other rooms."""

from __future__ import annotations

import argparse
import sys

from .cli import ca, cluster_master, crl, daemon, issuance, signing

COMMANDS = {
    "signing": signing,
    "ca": ca,
    "cluster-master": cluster_master,
    "daemon": daemon,
    "crl": crl,
    "issuance": issuance,
}


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m alts.services", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=module.__doc__))
    args = parser.parse_args()
    code: int = COMMANDS[args.command].run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
