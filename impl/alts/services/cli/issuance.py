"""`alts issuance`: what operators and people do: found a realm, add accounts, log in, schedule, rotate, revoke."""

from __future__ import annotations

import argparse
import asyncio
import base64
import getpass
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts_schema.issuance_pb2 import POLICY, RevokeRequest, RotateRequest, ScheduleRequest, StopRequest

from ..._errors import AltsError, ConfigurationError
from ..._trust import Category
from ...policy import Kind, PolicyDocument, PolicyDocumentError, Publisher, compile_policy, lint, read_document
from ...policy._keys import read_private
from ...realm import _files
from ...realm._arguments import REVOCATION_ID, REVOCATION_ID_RULE
from .._agent import AgentCore
from .._beliefs import Anchors, Beliefs, copy_trust
from .._book import AddressBook
from .._bundle import FileHolder, bundle_of, write_bundle
from .._ca import CaCore
from .._crl import CrlCore, CrlSettings
from .._found import found, revocation_signer, services_of
from .._people import login
from .._rpc import Remote, connector
from . import (
    EXIT_FAILED,
    EXIT_FINDINGS,
    EXIT_OK,
    SYSTEM,
    guarded,
    identity,
    is_text,
    load_token,
    require_installed,
    save_token,
    segment,
    utf8,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    _Action = Callable[[argparse.Namespace, Callable[[str, str], Remote]], Awaitable[None]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `alts issuance` to `parser`."""
    commands = parser.add_subparsers(dest="issuance_command", metavar="WHAT", required=True)

    def command(name: str, action: Callable[[argparse.Namespace], object], text: str) -> argparse.ArgumentParser:
        entry = commands.add_parser(name, help=text, description=text)
        entry.set_defaults(action=action)
        return entry

    entry = command(
        "found", _found, "make a realm: state directories for signing, ca, crl, and what all machines trust"
    )
    entry.add_argument("directory", type=Path)
    entry.add_argument("--realm", type=identity, required=True, metavar="NAME")
    entry.add_argument("--deployment", type=segment, default="production", metavar="NAME")
    entry.add_argument("--policy", type=Path, metavar="FILE", help="the first policy document")

    entry = command("install", _install, "install a trust directory on a machine")
    entry.add_argument("trust", type=Path)
    entry.add_argument("state", type=Path, help="state directory of the machine's daemon; is made")

    entry = command("add-user", _add_user, "register a human at the CA, or change the password; prints the TOTP secret")
    entry.add_argument("state", type=Path, help="state directory of the CA")
    entry.add_argument("name", type=segment)
    entry.add_argument("identity", type=identity)
    entry.add_argument("--password-stdin", action="store_true")

    entry = command("token", _token, "permit one machine to enrol: writes a token file")
    entry.add_argument("state", type=Path, help="state directory of the CA")
    entry.add_argument("identity", type=identity)
    entry.add_argument("out", type=Path)

    entry = command("publish-policy", _publish_policy, "compile a policy document and have the CRL service hand it out")
    entry.add_argument("signer", type=Path, help="directory with policy.key")
    entry.add_argument("state", type=Path, help="state directory of the CRL service")
    entry.add_argument("document", type=Path)

    entry = command("find", _find, "print the revocation IDs that were reported for an identity")
    entry.add_argument("state", type=Path, help="state directory of the CRL service")
    entry.add_argument("identity", type=identity)

    entry = command("login", _call(_login), "log in at the CA; the credential lasts 20 hours")
    _add_caller(entry, "state directory of this machine's daemon")
    entry.add_argument("name", type=segment)
    entry.add_argument("identity", type=identity)
    entry.add_argument("out", type=Path, help="directory for the credential")
    entry.add_argument("--password-stdin", action="store_true", help="read password and code from two lines of stdin")

    for name, action, about in (
        ("schedule", _schedule, "start a workload"),
        ("stop", _stop, "stop a workload"),
        ("rotate", _rotate, "have all workload credentials rotated now"),
        ("revoke", _revoke, "revoke IDs"),
    ):
        entry = command(name, _call(action), about)
        _add_caller(entry, "state directory of this machine's daemon")
        entry.add_argument("--credential", type=Path, required=True, metavar="DIR", help="as made by login")
        if name == "schedule":
            entry.add_argument("identity", type=identity)
            entry.add_argument("node", type=identity)
        elif name == "stop":
            entry.add_argument("workload", type=utf8)
        elif name == "revoke":
            entry.add_argument("ids", nargs="+", type=_number, metavar="ID", help=REVOCATION_ID_RULE)
            entry.add_argument("--reason", type=utf8, default="")


def _number(text: str) -> int:
    """Check a revocation ID."""
    if not REVOCATION_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not {REVOCATION_ID_RULE}")
    return int(text, 16)


def _add_caller(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--machine", type=Path, required=True, metavar="DIR", help=text)
    parser.add_argument("--book", type=Path, required=True, metavar="FILE", help="address book")


def run(args: argparse.Namespace) -> int:
    """Do it. Returns 0, 1 (a policy that must not be in force) or 3."""
    try:
        code = args.action(args)
    except (AltsError, OSError) as error:
        print(f"alts issuance {args.issuance_command}: {error}", file=sys.stderr)
        return EXIT_FAILED
    return code if isinstance(code, int) else EXIT_OK


def _found(args: argparse.Namespace) -> int:
    policy = ""
    if args.policy:
        policy, document = _policy(args.policy)
        named = services_of(args.realm)
        if not _may_be_in_force(args.policy, document, named["founding"], named):
            return EXIT_FINDINGS
    anchors = found(args.directory, args.realm, SYSTEM, deployment=args.deployment, policy=policy)
    where = str(args.directory).encode(errors="backslashreplace").decode()  # a path need not be text
    print(f"{where}: realm {anchors.realm}; verification key {anchors.verification_key.hex()}")
    return EXIT_OK


def _policy(path: Path) -> tuple[str, PolicyDocument]:
    """Read a policy document. Raises ConfigurationError, which names the file."""
    try:
        text = _files.read(path).decode("utf-8")
        return text, read_document(text)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text") from None
    except PolicyDocumentError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _may_be_in_force(path: Path, document: PolicyDocument, issuer: str, services: dict[str, str]) -> bool:
    """Print what is odd about a policy; tell whether machines can fetch another one under it.

    Args:
        path: of the document.
        document: what is in it.
        issuer: of the CRL service's certificate.
        services: identities of the services.
    """
    for finding in lint(document):
        print(f"{path}: {finding}", file=sys.stderr)
    crl, policy = services["crl"], document.policy
    refuses = f"under it every machine refuses the CRL service, {crl}, with a machine certificate issued by"
    if not policy.allows(issuer, Category.MACHINE, crl):
        print(f"{path}: refused: {refuses} {issuer}, and can never fetch another policy", file=sys.stderr)
        return False
    if not policy.allows(services["ca"], Category.MACHINE, crl):
        print(f"{path}: warning: {refuses} {services['ca']}, as it is when renewed", file=sys.stderr)
    return True


def _install(args: argparse.Namespace) -> None:
    Anchors.load(args.trust)  # anything else that is copied is found out too late
    copy_trust(args.trust, args.state / "trust")


def _ca(state: Path) -> CaCore:
    require_installed(state)
    name = Anchors.load(state / "trust").services["ca"]
    return CaCore(_existing(state), name, SYSTEM.clock, SYSTEM.random)


def _existing(state: Path) -> Path:
    path = state / "service.sqlite"
    _files.check_directory(state)
    if not (state / "agent.sqlite").is_file():
        raise ConfigurationError(f"{state}: is no state directory of a service, it has no agent.sqlite")
    return path


def _secrets(args: argparse.Namespace, *prompts: str) -> list[str]:
    """What a person types without it being seen, or a line of stdin for each. Raises ConfigurationError at its end."""
    try:
        lines = [sys.stdin.readline() if args.password_stdin else getpass.getpass(prompt) + "\n" for prompt in prompts]
    except EOFError:
        lines = [""]
    except UnicodeDecodeError:
        lines = ["\udcff"]
    if not all(map(is_text, lines)):  # in some locales Python lets through what is none
        raise ConfigurationError("what was given is not UTF-8 text")
    if not all(line.rstrip("\n") for line in lines):
        raise ConfigurationError(f"nothing was given for: {', '.join(prompt.rstrip(': ') for prompt in prompts)}")
    return [line.rstrip("\n") for line in lines]


def _add_user(args: argparse.Namespace) -> None:
    (password,) = _secrets(args, "new password: ")
    core = _ca(args.state)
    try:
        secret = core.add_user(args.name, args.identity, password)
    finally:
        core.close()
    print(base64.b32encode(secret).decode())


def _token(args: argparse.Namespace) -> None:
    with _files.explained(args.out):
        there = args.out.exists()
    if there:
        load_token(args.out)  # nothing but an older token is replaced
    core = _ca(args.state)
    try:
        save_token(args.out, core.add_token(args.identity))
    finally:
        core.close()


def _publish_policy(args: argparse.Namespace) -> int:
    """All that can be wrong is found out before a sequence number is used up and the signer's file replaced."""
    key = read_private(args.signer / "policy.key")
    _, document = _policy(args.document)
    require_installed(args.state)
    issuer = _issuer_of_crl(args.state)
    beliefs = Beliefs(args.state / "trust", SYSTEM.clock)
    anchors, in_force = beliefs.anchors, beliefs.sequence(POLICY)
    if document.deployment != anchors.deployment:
        where = f"{args.state} accepts policies for {anchors.deployment}"
        raise ConfigurationError(f"{args.document}: is for {document.deployment}; {where}")
    if key.public_key().public_bytes_raw() != anchors.policy_key:
        raise ConfigurationError(f"{args.signer}: is not the policy signer of the realm of {args.state}")
    if not _may_be_in_force(args.document, document, issuer, anchors.services):
        return EXIT_FINDINGS

    def make(sequence: int, now: int) -> bytes:
        if sequence <= in_force:
            newer = f"policy {in_force} is in force already: restored from a backup?"
            raise ConfigurationError(f"{args.signer}: is at {sequence}, but {newer}")
        return compile_policy(document, key=key, sequence=sequence, issued_at=now)

    publisher = Publisher(Kind.POLICY, args.signer / "policy", clock=SYSTEM.clock)
    header = publisher.publish(make)
    beliefs.install(POLICY, publisher.path.read_bytes())
    print(f"policy {header.sequence} is handed out")
    return EXIT_OK


def _issuer_of_crl(state: Path) -> str:
    """Return who issued the CRL service's certificate.

    Raises:
        ConfigurationError: this is not its state directory.
    """
    crl = Anchors.load(state / "trust").services["crl"]
    _existing(state)
    agent = AgentCore(state / "agent.sqlite", SYSTEM.clock, SYSTEM.random)
    try:
        master = agent.master()
    finally:
        agent.close()
    if master is None or master.body.identity != crl:
        raise ConfigurationError(f"{state}: is not the state directory of the CRL service, {crl}")
    return master.body.issuer


def _find(args: argparse.Namespace) -> None:
    key = Ed25519PrivateKey.from_private_bytes(_files.read_key(args.state / "revocation.key"))
    core = CrlCore(_existing(args.state), SYSTEM.clock, revocation_signer(key), CrlSettings(()))
    try:
        for number in core.find(args.identity):
            print(f"{number:016x}")
    finally:
        core.close()


# -- calls ----------------------------------------------------------------------------------------------------------


def _call(action: _Action) -> Callable[[argparse.Namespace], int]:
    """Wrap a coroutine function of the arguments and of what finds services."""

    async def main(args: argparse.Namespace) -> None:
        credential: Path = getattr(args, "credential", None) or args.machine / "local"
        holder = FileHolder(credential, args.machine / "trust", SYSTEM.clock)
        book, connect = AddressBook(args.book), connector(holder)
        remotes: list[Remote] = []

        def remote(service: str, name: str) -> Remote:
            remotes.append(Remote(service, name, holder.beliefs.anchors.services[name], book, connect))
            return remotes[-1]

        try:
            await action(args, remote)
        finally:
            for opened in remotes:
                opened.close()
            await asyncio.sleep(0)

    return lambda args: guarded(f"issuance {args.issuance_command}", args, main)


async def _login(args: argparse.Namespace, remote: Callable[[str, str], Remote]) -> None:
    password, code = _secrets(args, "password: ", "code: ")
    name = Anchors.load(args.machine / "trust").services["ca"]
    credential = await login(
        remote("InternalCa", "ca"),
        name,
        SYSTEM,
        name=args.name,
        identity=args.identity,
        password=password,
        code=code,
    )
    write_bundle(args.out, bundle_of(credential))
    print(f"{credential.identity}: valid until {credential.peer.not_after} (seconds since 1970)")


async def _schedule(args: argparse.Namespace, remote: Callable[[str, str], Remote]) -> None:
    request = ScheduleRequest(request_id=os.urandom(16), identity=args.identity, node=args.node)
    print((await remote("ClusterMaster", "cluster-master").call("Schedule", request)).workload)


async def _stop(args: argparse.Namespace, remote: Callable[[str, str], Remote]) -> None:
    await remote("ClusterMaster", "cluster-master").call("Stop", StopRequest(workload=args.workload))


async def _rotate(args: argparse.Namespace, remote: Callable[[str, str], Remote]) -> None:
    answer = await remote("ClusterMaster", "cluster-master").call("Rotate", RotateRequest(), attempts=1)
    print(json.dumps({"epoch": answer.epoch}))


async def _revoke(args: argparse.Namespace, remote: Callable[[str, str], Remote]) -> None:
    request = RevokeRequest(revocation_ids=args.ids, reason=args.reason)
    answer = await remote("RevocationService", "crl").call("Revoke", request)
    print(json.dumps({"sequence": answer.sequence}))
