"""Where vectors and schemas lie, and how they are written: the same bytes for the same content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

KINDS: Final = (
    "key_schedule",
    "x25519",
    "certificates",
    "handshake_valid",
    "handshake_invalid",
    "record",
    "ciphers",
    "resumption",
    "tickets",
    "policies",
    "signed_files",
    "issuance",
    "handshaker",
)
"""One file each."""

VECTORS_VERSION: Final = "2.1.0"
"""Major: a case was changed or removed; minor: cases were added; patch: words."""
SCHEMA_VERSION: Final = 1
DEFAULT_SEED: Final = "openalts vectors 1"

_HERE: Final = Path(__file__).resolve().parent
DATA: Final = _HERE / "data"
SCHEMAS: Final = _HERE / "schemas"

Json = dict[str, Any]


class VectorsError(Exception):
    """Root of the errors of this package."""


class UnreadableError(VectorsError):
    """A file of vectors, or a schema, is missing or is not JSON."""


def dump(document: Mapping[str, Any]) -> bytes:
    """The bytes of a file: indented by one space, ASCII, keys as they come, a newline at the end."""
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def load(path: Path) -> Json:
    """Read a file.

    Raises:
        UnreadableError: it cannot be read, or is not a JSON object.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableError(f"{path}: not an object")
    return document


def data_path(kind: str, directory: Path = DATA) -> Path:
    """The file of a kind."""
    return directory / f"{kind}.json"


def load_all(directory: Path = DATA) -> dict[str, Json]:
    """Every kind's document. Raises UnreadableError."""
    return {kind: load(data_path(kind, directory)) for kind in KINDS}
