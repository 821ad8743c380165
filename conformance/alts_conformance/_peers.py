"""The peers: what each is called, how it is started, what it declares, and whether it can run here.

Capabilities are declared, and compared with what the driver says of itself when it starts. They are never inferred
from a failure.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ._verdict import UsageError

_DRIVERS = Path(__file__).with_name("drivers")

#: Environment variable that names another Python interpreter for the wheel's driver (an older wheel, say).
GRPC_CORE_PYTHON = "OPENALTS_GRPC_CORE_PYTHON"
#: Environment variable with a folder to load `alts` from in the reference peer and its services (a mutant, say).
REFERENCE_SOURCE = "OPENALTS_REFERENCE_SOURCE"


@dataclass(frozen=True, slots=True)
class Peer:
    """An implementation under test."""

    name: str
    command: tuple[str, ...]
    capabilities: frozenset[str]
    env: Mapping[str, str] = field(default_factory=dict)
    #: Whether its process looks for a handshaker service in its namespace instead of holding the handshake itself.
    uses_handshaker: bool = False


def _grpc_core() -> Peer:
    python = os.environ.get(GRPC_CORE_PYTHON, sys.executable)
    names = {"client", "server", "alts", "insecure", "target_identities", "ciphers", "resumption"}
    capabilities = frozenset(names)
    return Peer("grpc-core", (python, str(_DRIVERS / "grpc_core.py")), capabilities, uses_handshaker=True)


#: What the reference peer declares; its driver says the same of itself.
REFERENCE_CAPABILITIES = frozenset(
    {
        "client",
        "server",
        "alts",
        "insecure",
        "target_identities",
        "record",
        "handshaker",
        "full-handshake",
        "ciphers",
        "resumption",
    }
)


def _reference() -> Peer:
    command = (sys.executable, "-m", "alts_conformance.drivers.reference")
    return Peer("reference", command, REFERENCE_CAPABILITIES, reference_env())


def reference_env() -> dict[str, str]:
    """What must be in the environment of processes that load `alts`, beside what is there anyway."""
    source = os.environ.get(REFERENCE_SOURCE)
    return {"PYTHONPATH": source + (os.pathsep + p if (p := os.environ.get("PYTHONPATH")) else "")} if source else {}


BUILTIN = {"reference": _reference, "grpc-core": _grpc_core}


def extra_peer(spec: str) -> Peer:
    """A peer given on the command line: ``NAME=CAPABILITY,CAPABILITY:PROGRAM ARGUMENT...``.

    Raises:
        UsageError: the text has another shape.
    """
    name, equals, rest = spec.partition("=")
    capabilities, colon, command = rest.partition(":")
    if not (name and equals and colon and command.split()):
        raise UsageError(f"--driver {spec!r}: expected NAME=CAPABILITY,...:PROGRAM ARGUMENT...")
    return Peer(name, tuple(command.split()), frozenset(capabilities.split(",")))


def get(name: str, extra: Mapping[str, Peer] | None = None) -> Peer:
    """The peer with this name.

    Raises:
        UsageError: there is none.
    """
    if extra and name in extra:
        return extra[name]
    try:
        return BUILTIN[name]()
    except KeyError:
        known = ", ".join([*BUILTIN, *(extra or {})])
        raise UsageError(f"no peer is called {name!r}; there are: {known}") from None


def unavailable(peer: Peer) -> str | None:
    """Why this peer cannot run here, or None."""
    if peer.name == "grpc-core":
        python = peer.command[0]
        if python == sys.executable:
            found = importlib.util.find_spec("grpc") is not None
        else:
            try:
                probe = subprocess.run([python, "-c", "import grpc"], capture_output=True, timeout=30, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"{GRPC_CORE_PYTHON}={python} cannot be run: {error}"
            found = probe.returncode == 0
        return None if found else f"{python} has no grpcio wheel"
    if peer.name == "reference":
        if importlib.util.find_spec("alts") is None:
            return "the package alts is not installed"
        if importlib.util.find_spec("grpclib") is None:
            return "grpclib is not installed"
    return None


def version_of(peer: Peer) -> str:
    """The version that reports print before the driver has spoken for itself."""
    distribution = {"grpc-core": "grpcio", "reference": "openalts"}.get(peer.name)
    if distribution is None:
        return "unknown"
    if peer.command[0] != sys.executable:
        code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
        try:
            probe = subprocess.run(
                [peer.command[0], "-c", code], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return "unknown"
        return probe.stdout.strip() or "unknown"
    return distribution_version(distribution)


def distribution_version(name: str) -> str:
    """The installed version of a distribution, or ``unknown``."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
