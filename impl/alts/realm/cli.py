"""`alts pki`: make a realm directory, issue, show, verify and revoke credentials in it (SPEC 15)."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from .._errors import ConfigurationError, ErrorCode, PeerViolation
from .._messages import MAX_CERTIFICATE_SIZE
from .._table import Role
from .._trust import Category, parse_certificate, verify_certificate
from ._arguments import NAME, REVOCATION_ID, REVOCATION_ID_RULE, BadArgument, check_identity, check_name
from ._directory import RealmDirectory, category_of
from ._show import credential_text, describe_credential, describe_realm, expiry_text, is_master, realm_text

EXIT_OK, EXIT_FINDINGS, EXIT_USAGE, EXIT_FAILED = 0, 1, 2, 3
_LIKE_AN_ID = re.compile(r"(0[xX])?[0-9a-fA-F]{1,32}")
_SHOW_FORMAT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `init`, `issue`, `resumption-key`, `show`, `verify` and `revoke` to `parser`."""
    commands = parser.add_subparsers(dest="pki_command", required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="make a realm directory with a fresh Signing Service")
    init.add_argument("directory", type=Path, metavar="DIR", help="does not exist yet, or is empty")
    init.add_argument("--name", help="of the realm (default: the directory's name)")

    issue = commands.add_parser("issue", help="issue a credential: keys, master and handshake certificate")
    issue.add_argument("directory", type=Path, metavar="DIR")
    issue.add_argument("name", metavar="NAME", help="of the credential in the realm directory")
    issue.add_argument("--identity", required=True, help="such as frontend-prod, or shop/frontend/prod")
    categories = [category.name.lower() for category in Category]
    issue.add_argument("--category", required=True, choices=categories, help="kind of entity")
    issue.add_argument("--not-before", type=_time, metavar="TIME", help="seconds since 1970 or ISO 8601 (default: now)")
    issue.add_argument(
        "--not-after", type=_time, metavar="TIME", help="the same; 0: no expiry (default: 20 hours for a human, else 0)"
    )
    issue.add_argument("--boundary", default="", help="physical boundary (default: none known)")
    issue.add_argument("--issuer", help="who asks the Signing Service (default: as the realm's first policy has it)")

    key = commands.add_parser("resumption-key", help="give an identity a resumption key, or the next one")
    key.add_argument("directory", type=Path, metavar="DIR")
    key.add_argument("identity", metavar="IDENTITY", help="that a credential of the realm is for")

    show = commands.add_parser("show", help="print certificates for people, and what a peer would make of them")
    show.add_argument("directory", type=Path, metavar="DIR")
    show.add_argument("name", nargs="?", metavar="NAME", help="one credential (default: all)")
    show.add_argument("--json", action="store_true", help="print one document")

    verify = commands.add_parser("verify", help="judge a certificate file as a member of the realm would")
    verify.add_argument("directory", type=Path, metavar="DIR")
    verify.add_argument("certificate", type=Path, metavar="FILE", help="a serialised HandshakeCertificate")
    verify.add_argument("--role", choices=[*Role], default=Role.SERVER, help="of its owner (default: %(default)s)")
    verify.add_argument("--at", type=_time, metavar="TIME", help="seconds since 1970 or ISO 8601 (default: now)")
    verify.add_argument("--target", action="append", default=[], metavar="IDENTITY", help="expected; may be repeated")

    revoke = commands.add_parser("revoke", help="revoke a credential, or any revocation ID")
    revoke.add_argument("directory", type=Path, metavar="DIR")
    revoke.add_argument("what", metavar="NAME|ID", help=f"of a credential, or {REVOCATION_ID_RULE}")
    revoke.add_argument("--master", action="store_true", help="the credential's master certificate too")


def run(args: argparse.Namespace) -> int:
    """Run one command. Returns 0, 1 (`show`, `verify`: peers refuse), 2 (usage) or 3 (damaged, taken, unwritable)."""
    try:
        if args.pki_command == "init":
            return _init(args)
        if args.pki_command == "issue":
            return _issue(args)
        if args.pki_command == "resumption-key":
            return _resumption_key(args)
        if args.pki_command == "verify":
            return _verify(args)
        if args.pki_command == "revoke":
            return _revoke(args)
        return _show(args)
    except ConfigurationError as error:
        print(f"alts pki {args.pki_command}: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, BadArgument) else EXIT_FAILED


def _init(args: argparse.Namespace) -> int:
    directory: Path = args.directory
    own = Path(os.path.realpath(directory)).name
    name = args.name if args.name is not None else own if NAME.fullmatch(own) and own[0] != "." else "realm"
    realm = RealmDirectory.create(directory, name=name, random=os.urandom)
    print(f"made the realm {realm.name!r} in the directory {directory}")
    return EXIT_OK


def _issue(args: argparse.Namespace) -> int:
    realm = RealmDirectory.load(args.directory)
    credential = realm.issue(
        args.name,
        args.identity,
        category_of(args.category),
        clock=time.time,
        random=os.urandom,
        not_before=args.not_before,
        not_after=args.not_after,
        boundary=args.boundary,
        issuer=args.issuer,
    )
    print(f"issued {args.name}: {args.category} {credential.identity}")
    return EXIT_OK


def _resumption_key(args: argparse.Namespace) -> int:
    realm = RealmDirectory.load(args.directory)
    keys = realm.rotate_resumption_key(args.identity, clock=time.time, random=os.urandom)
    made, kept = keys.epochs[-1], keys.epochs[:-1]
    older = f"; still opens {', '.join(map(str, kept))}" if kept else ""
    print(f"resumption key of {args.identity}: ID {keys.resumption_id.hex()}, epoch {made}{older}")
    return EXIT_OK


def _show(args: argparse.Namespace) -> int:
    if args.name is not None:
        check_name(args.name, "name of the credential")
    realm = RealmDirectory.load(args.directory)
    names = realm.names() if args.name is None else (args.name,)
    shown: list[dict[str, Any]] = []
    damaged: list[str] = []
    for name in names:
        try:
            realm.master(name)  # all five files are there and belong together
            shown.append(describe_credential(name, realm.credential(name), realm, int(time.time())))
        except ConfigurationError as error:
            damaged.append(str(error))
    realm_document = describe_realm(realm)
    if args.json:
        document = {"format": _SHOW_FORMAT, "realm": realm_document, "credentials": shown, "damaged": damaged}
        print(json.dumps(document, indent=2))
    else:
        print("\n\n".join([realm_text(realm_document), *map(credential_text, shown)]))
    for text in damaged:
        print(f"alts pki show: {text}", file=sys.stderr)
    if damaged:
        return EXIT_FAILED
    refused = any(document["verification"]["result"] != "valid" for document in shown)
    return EXIT_FINDINGS if refused else EXIT_OK


def _verify(args: argparse.Namespace) -> int:
    realm = RealmDirectory.load(args.directory)
    for target in args.target:
        check_identity(target, "--target")
    try:
        if not args.certificate.is_file() and args.certificate.exists() and not args.certificate.is_dir():
            raise ConfigurationError(f"{args.certificate}: is not a regular file")  # a FIFO would hang here
        with args.certificate.open("rb") as file:
            raw = file.read(MAX_CERTIFICATE_SIZE + 1)
    except OSError as error:
        raise ConfigurationError(f"{args.certificate}: {error.strerror}") from None
    now = int(time.time()) if args.at is None else args.at
    try:
        peer = verify_certificate(raw, realm.trust(), now, role=Role(args.role), targets=frozenset(args.target)).peer()
    except PeerViolation as violation:
        print(f"refused: {violation}")
        if violation.code is ErrorCode.CERTIFICATE_EXPIRED:
            print(expiry_text(parse_certificate(raw), now))
        elif violation.code is ErrorCode.BAD_CERTIFICATE and is_master(raw):
            print("  this is a master certificate; peers show, and this command judges, handshake certificates")
        return EXIT_FINDINGS
    print(f"valid: {peer.category.name.lower()} {peer.identity}, issuer {peer.issuer}")
    return EXIT_OK


def _revoke(args: argparse.Namespace) -> int:
    realm = RealmDirectory.load(args.directory)
    if REVOCATION_ID.fullmatch(args.what):
        if args.master:
            raise BadArgument("--master goes with the name of a credential")
        number = int(args.what, 16)
        realm.revoke(number)
        of = ", ".join(realm.holders(number))
        print(f"revoked {number:016x}: {f'of {of}' if of else 'no credential here has this ID'}")
        return EXIT_OK
    if _LIKE_AN_ID.fullmatch(args.what) and args.what not in realm.names():
        raise BadArgument(f"{args.what!r} is no credential of the realm, and a revocation ID is {REVOCATION_ID_RULE}")
    peer = realm.credential(args.what).peer
    for number in dict.fromkeys(peer.revocation_ids if args.master else peer.revocation_ids[:1]):
        realm.revoke(number)
        print(f"revoked {number:016x}")
    return EXIT_OK


def _time(text: str) -> int:
    """Parse seconds since 1970, or ISO 8601; a time without a zone is UTC."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither seconds since 1970 nor ISO 8601") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp())
