"""All files from a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import (
    _certificates,
    _ciphers,
    _handshaker,
    _handshakes,
    _issuance,
    _key_schedule,
    _policies,
    _records,
    _refusals,
    _resumption,
    _signed_files,
    _tickets,
    _x25519,
)
from ._files import DATA, DEFAULT_SEED, KINDS, Json, data_path, dump

_GENERATORS: dict[str, Callable[[str], Json]] = {
    "key_schedule": _key_schedule.generate,
    "x25519": _x25519.generate,
    "certificates": _certificates.generate,
    "handshake_valid": _handshakes.generate,
    "handshake_invalid": _refusals.generate,
    "record": _records.generate,
    "ciphers": _ciphers.generate,
    "resumption": _resumption.generate,
    "tickets": _tickets.generate,
    "policies": _policies.generate,
    "signed_files": _signed_files.generate,
    "issuance": _issuance.generate,
    "handshaker": _handshaker.generate,
}


def generate(seed: str = DEFAULT_SEED) -> dict[str, Json]:
    """Every kind's document. Same seed, same content; the model confirms each expected result while it is made."""
    return {kind: _GENERATORS[kind](seed) for kind in KINDS}


def write(documents: dict[str, Json], directory: Path = DATA) -> list[Path]:
    """Write the files; return those that changed."""
    directory.mkdir(parents=True, exist_ok=True)
    changed = []
    for kind, content in documents.items():
        path, data = data_path(kind, directory), dump(content)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
            changed.append(path)
    return changed


def differing(documents: dict[str, Json], directory: Path = DATA) -> list[Path]:
    """Files that are missing or are not, byte for byte, what is generated."""
    return [
        path
        for kind, content in documents.items()
        if not (path := data_path(kind, directory)).exists() or path.read_bytes() != dump(content)
    ]
