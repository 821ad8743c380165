"""`alts pki policy`: check a policy document, compile it to the signed file for machines, show either (SPEC 13.2)."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import AltsError, ConfigurationError
from .._signed_file import HEADER_SIZE, FileDamaged, FileTruncated, Header, Kind, SignedFileRefused, peek
from .._signed_file_publisher import Publisher
from ..realm import _files
from ._compiled import MAX_FILE_SIZE, CompiledPolicy, compile_policy, decode_body, open_policy
from ._document import PolicyDocument, PolicyDocumentError, read_document
from ._keys import public_path, read_private, read_public, write_pair
from ._lint import check, lint

if TYPE_CHECKING:
    from ._document import Finding

EXIT_OK, EXIT_FINDINGS, EXIT_USAGE, EXIT_FAILED = 0, 1, 2, 3
_JSON_FORMAT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `check`, `compile`, `show` and `key` to `parser`."""
    add_commands(parser.add_subparsers(dest="policy_command", required=True, metavar="COMMAND"))


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to a group that has others too."""
    checking = commands.add_parser("check", help="say everything that is wrong or looks wrong in a policy document")
    checking.add_argument("file", type=Path, metavar="FILE", help="policy document (TOML)")
    checking.add_argument("--json", action="store_true", help="print one document")

    compiling = commands.add_parser("compile", help="make the signed file of a policy document")
    compiling.add_argument("file", type=Path, metavar="FILE", help="policy document (TOML)")
    compiling.add_argument("--key", type=Path, required=True, metavar="KEY", help="private key of the policy's signer")
    compiling.add_argument("--output", type=Path, required=True, metavar="OUT", help="the signed file; replaced whole")
    compiling.add_argument("--sequence", type=int, metavar="N", help="sequence number (default: one above OUT's last)")
    compiling.add_argument("--issued-at", type=int, metavar="SECONDS", help="since 1970 (default: now)")

    showing = commands.add_parser("show", help="print a policy, compiled or not, for people")
    showing.add_argument("file", type=Path, metavar="FILE", help="policy document or signed policy file")
    showing.add_argument("--key", type=Path, metavar="PUB", help="public key to verify a signed file with")
    showing.add_argument("--json", action="store_true", help="print one document")

    making = commands.add_parser("key", help="make the key pair of a policy's signer")
    making.add_argument("file", type=Path, metavar="KEY", help="private key; the public key goes to KEY.pub")


def run(args: argparse.Namespace) -> int:
    """Run one command.

    Returns:
        0; 1: a finding (`check`), an error in the document (`compile`), a file that machines refuse (`show`); 2: usage;
        3: a file that cannot be read or written.
    """
    command = {"check": _check, "compile": _compile, "show": _show, "key": _key}[args.policy_command]
    try:
        return command(args)
    except PolicyDocumentError as error:
        _print_findings(error.findings, args.file, sys.stderr)
        return EXIT_FINDINGS
    except SignedFileRefused as error:
        print(f"{args.file}: refused: {error} ({type(error).__name__})", file=sys.stderr)
        return EXIT_FINDINGS
    except AltsError as error:
        print(f"alts pki policy {args.policy_command}: {error}", file=sys.stderr)
        return EXIT_FAILED


def read_text(path: Path) -> str:
    """Return the text of a policy document.

    Raises:
        ConfigurationError: it cannot be read, or is no UTF-8.
    """
    try:
        return _files.read(path).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text") from None


def load(path: Path, key: Path | None = None) -> tuple[CompiledPolicy, Header | None, PolicyDocument | None]:
    """Read a policy document or a signed policy file.

    Args:
        path: of either.
        key: public key file that a signed file is verified with; without it nothing is verified but the structure.

    Returns:
        The policy; the header of a signed file; the document that it is.

    Raises:
        PolicyDocumentError, SignedFileRefused: it is neither as it should be.
        ConfigurationError: it cannot be read.
    """
    data = _files.read(path, limit=MAX_FILE_SIZE)
    if not data.startswith(Kind.POLICY.value):
        document = read_document(read_text(path))
        return CompiledPolicy(document.deployment, document.policy), None, document
    if key is not None:
        header, compiled = open_policy(data, [read_public(key)])
        return compiled, header, None
    header = peek(Kind.POLICY, data)
    if len(data) - HEADER_SIZE < header.body_size:
        raise FileTruncated(f"the body has {len(data) - HEADER_SIZE} of {header.body_size} bytes")
    if len(data) - HEADER_SIZE > header.body_size:
        raise FileDamaged("something follows the body")
    return decode_body(header, data[HEADER_SIZE:]), header, None


def _check(args: argparse.Namespace) -> int:
    findings = check(read_text(args.file))
    if args.json:
        listed = [
            {"severity": f.severity, "code": f.code, "line": f.line, "rule": f.rule, "message": f.message}
            for f in findings
        ]
        print(json.dumps({"format": _JSON_FORMAT, "file": str(args.file), "findings": listed}, indent=2))
    elif findings:
        _print_findings(findings, args.file, sys.stdout)
    else:
        document = read_document(read_text(args.file))
        print(f"{args.file}: no findings in {len(document.rules)} rules for {document.deployment}")
    return EXIT_FINDINGS if findings else EXIT_OK


def _print_findings(findings: tuple[Finding, ...], path: Path, stream: Any) -> None:
    for finding in findings:
        print(f"{path}: {finding}", file=stream)


def _compile(args: argparse.Namespace) -> int:
    document = read_document(read_text(args.file))
    _print_findings(lint(document), args.file, sys.stderr)
    key = read_private(args.key)
    issued_at = int(time.time()) if args.issued_at is None else args.issued_at
    if (args.sequence is not None and not 0 < args.sequence < 2**64) or not 0 <= issued_at < 2**64:
        print("alts pki policy compile: a number is out of range", file=sys.stderr)
        return EXIT_USAGE

    def make(
        sequence: int, _: int
    ) -> bytes:  # the clock's time is a float, which does not hold every number of 64 bits
        return compile_policy(document, key=key, sequence=sequence, issued_at=issued_at)

    _files.refuse_special(args.output)  # its sequence number is read first, and a FIFO would hang there
    publisher = Publisher(Kind.POLICY, args.output, clock=lambda: float(issued_at))
    header = publisher.publish(make, sequence=args.sequence)
    print(
        f"wrote {args.output}: sequence number {header.sequence}, {sum(header.counts)} rules for {document.deployment}"
    )
    return EXIT_OK


def _show(args: argparse.Namespace) -> int:
    compiled, header, _ = load(args.file, args.key)
    signed = None
    if header is not None:
        signed = {
            "sequence": header.sequence,
            "issued_at": header.issued_at,
            "key_id": header.key_id.hex(),
            "verified": args.key is not None,
        }
    rules = [
        {"issuer": rule.issuer, "category": rule.category.name.lower(), "identity": rule.identity}
        for rule in compiled.policy.rules
    ]
    if args.json:
        document = {"format": _JSON_FORMAT, "deployment": compiled.deployment, "signed": signed, "rules": rules}
        print(json.dumps(document, indent=2))
        return EXIT_OK
    print(f"policy for {compiled.deployment}")
    if signed is None:
        print("  a document: not compiled, not signed")
    else:
        state = "good" if signed["verified"] else "NOT VERIFIED (no --key)"
        print(f"  sequence number {signed['sequence']}, issued {_when(header.issued_at if header else 0)}")
        print(f"  signature: {state}, key {signed['key_id']}")
    for rule in rules:
        print(f"  {rule['issuer']} may issue {rule['category']} certificates for {rule['identity']}")
    print("  everything else is denied")
    return EXIT_OK


def _when(seconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"


def _key(args: argparse.Namespace) -> int:
    write_pair(args.file, os.urandom)
    print(f"made {args.file} (keep it secret) and {public_path(args.file)} (pin it on every machine)")
    return EXIT_OK
