"""``alts doctor``: what is installed, which peers and provers can run here, and what to do about the rest."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass

from . import _peers
from ._commands import COMMANDS

#: Distributions that rooms of the house need, and for what.
_DISTRIBUTIONS = {
    "cryptography": "impl: primitives",
    "protobuf": "schema: messages",
    "grpcio": "peer grpc-core, handshaker service",
    "grpclib": "peer reference, RPCs over the asyncio adapter",
    "tlslite-ng": "model: primitives that share no code with cryptography",
    "jsonschema": "checking vectors, reports and known findings",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""
    #: Whether the house works without it (ProVerif, for one).
    optional: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``alts doctor``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--trace",
        action="store_true",
        help="what stands behind each requirement: clauses, and tests, vectors, checks and cases that ran and passed",
    )


def run(args: argparse.Namespace) -> int:
    """Look at everything; 0 if all that is needed is there, 1 otherwise. With `--trace`: see `_trace.run`."""
    if args.trace:
        from . import _trace  # it loads the model and the vectors

        return _trace.run(as_json=args.json)
    findings = examine()
    if args.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        width = max(len(finding.what) for finding in findings) + 2
        for finding in findings:
            state = "ok" if finding.ok else ("absent" if finding.optional else "MISSING")
            print(f"{state:<9}{finding.what.ljust(width)}{finding.detail}")
            if finding.remedy and not finding.ok:
                print(f"{'':<9}{'':<{width}}-> {finding.remedy}")
    return 0 if all(finding.ok or finding.optional for finding in findings) else 1


def examine() -> list[Finding]:
    """All findings, in the order in which they are printed."""
    return [_python(), *_distributions(), *_rooms(), _namespaces(), *_all_peers(), _proverif()]


def _python() -> Finding:
    version = platform.python_version()
    return Finding("Python", sys.version_info >= (3, 11), f"{version} at {sys.executable}", "use Python 3.11 or newer")


def _distributions() -> list[Finding]:
    findings = []
    for name, purpose in _DISTRIBUTIONS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            findings.append(
                Finding(name, False, f"not installed ({purpose})", f"pip install {name}, or run `make setup`")
            )
        else:
            findings.append(Finding(name, True, f"{version} ({purpose})"))
    return findings


def _rooms() -> list[Finding]:
    findings = []
    for command in COMMANDS:
        name = "alts " + " ".join(command.words)
        try:
            found = importlib.util.find_spec(command.module) is not None
        except ImportError:
            found = False
        findings.append(
            Finding(name, found, command.help, f"{command.module} cannot be found: is the checkout complete?")
        )
    return findings


def _namespaces() -> Finding:
    code = "from alts_conformance import _namespaces as n; n.enter(); n.raise_loopback(['fd00::2']); n.fake_platform()"
    probe = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    if probe.returncode == 0:
        return Finding("namespaces", True, "network and mount namespaces can be made")
    last = (probe.stderr.strip().splitlines() or ["unknown reason"])[-1]
    remedy = "allow user namespaces (kernel.unprivileged_userns_clone=1, user.max_user_namespaces>0) or run as root"
    return Finding("namespaces", False, last, remedy)


def _all_peers() -> list[Finding]:
    findings = []
    for name in _peers.BUILTIN:
        peer = _peers.get(name)
        why = _peers.unavailable(peer)
        detail = why or f"version {_peers.version_of(peer)}: {', '.join(sorted(peer.capabilities))}"
        findings.append(Finding(f"peer {name}", why is None, detail, "run `make setup`"))
    return findings


def _proverif() -> Finding:
    path = shutil.which("proverif")
    if path is None:
        remedy = (
            "optional: put ProVerif 2.05 on PATH (opam install proverif); "
            "`alts prove` uses the built-in engine until then, and `--compare` is SKIPPED"
        )
        return Finding("ProVerif", False, "not on PATH", remedy, optional=True)
    try:
        probe = subprocess.run([path, "-help"], capture_output=True, text=True, timeout=30, check=False)
        line = (probe.stdout.strip().splitlines() or ["version unknown"])[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("ProVerif", False, f"{path} cannot be run: {error}", "install it again", optional=True)
    return Finding("ProVerif", True, f"{path}: {line}", optional=True)
