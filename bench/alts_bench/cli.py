"""`alts bench`: measured ratios, never asserted ones."""

from __future__ import annotations

import argparse
import json
import sys

from . import _handshake, _record, _revocation

SUBJECTS = ("record", "handshake", "revocation")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `alts bench`."""
    parser.add_argument(
        "subject",
        nargs="*",
        metavar="{record,handshake,revocation}",
        help="what to measure (default: all of them; revocation takes half a minute)",
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each subject (default: 5)")
    parser.add_argument(
        "--issued",
        type=int,
        default=_revocation.ISSUED,
        help="IDs for revocation, a multiple of 40 (default: 40 million)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    """Run `alts bench`; 0, since a figure is no verdict.

    Exit code 1: a resumed handshake did an asymmetric operation. 2: --seconds and the like are out of range.
    """
    if not 0 < args.seconds <= 600:
        print("alts bench: --seconds must be above 0 and at most 600", file=sys.stderr)
        return 2
    if unknown := sorted(set(args.subject) - set(SUBJECTS)):
        print(f"alts bench: no such subject: {', '.join(unknown)} (there are: {', '.join(SUBJECTS)})", file=sys.stderr)
        return 2
    if args.issued < 40_000 or args.issued % 40:
        print("alts bench: --issued must be a multiple of 40, at least 40000", file=sys.stderr)
        return 2
    results: dict[str, object] = {}
    for subject in args.subject or SUBJECTS:
        if subject == "revocation":
            table = results["revocation"] = _revocation.measure(args.seconds, args.issued)
            if not args.json:
                print(_revocation.text(table))
        elif subject == "record":
            rows = results["record"] = _record.measure(args.seconds)
            if not args.json:
                print("ALTSRP_GCM_AES128_REKEY against bare AES-128-GCM in place (same library, same run, one core)")
                print("  plaintext   bare GB/s   seal/bare   open/bare")
                for row in rows:
                    speed = row["bare_bytes_per_second"] / 1e9
                    size = int(row["plaintext_bytes"])
                    print(f"  {size:>9}   {speed:>9.2f}   {row['seal_ratio']:>9.2f}   {row['open_ratio']:>9.2f}")
        else:
            try:
                figures = results["handshake"] = _handshake.measure(args.seconds)
            except _handshake.AsymmetricOperation as error:
                print(f"alts bench: resumed handshakes call into asymmetric cryptography: {error}", file=sys.stderr)
                return 1
            if not args.json:
                print(_handshake.text(figures))
    if args.json:
        print(json.dumps(results, indent=2))
    return 0


def main() -> int:
    """Run as `python -m alts_bench`."""
    parser = argparse.ArgumentParser(prog="alts bench")
    add_arguments(parser)
    return run(parser.parse_args())
