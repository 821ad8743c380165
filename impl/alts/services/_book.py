"""Where services listen: a small file that may change at any time. Addresses prove nothing; identities do (TRUST-2)."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

from .._errors import ConfigurationError
from ..realm import _files

if TYPE_CHECKING:
    from pathlib import Path


class AddressBook:
    """A JSON object: name of a service to `ADDRESS:PORT`, an IPv6 address in brackets. It is read at each look-up.

    Args:
        path: of the file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, name: str) -> tuple[str, int]:
        """Return address and port.

        Raises:
            ConnectionRefusedError: the book is missing or damaged, or does not list the service: as if nobody listened.
        """
        try:
            return parse_address(self._entries()[name])
        except ConfigurationError as error:
            raise ConnectionRefusedError(f"{error}: where {name} is, is not known") from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConnectionRefusedError(
                f"{self.path}: does not say where {name} is ({type(error).__name__})"
            ) from None

    def enter(self, name: str, address: str) -> None:
        """Write down where a service listens.

        Raises:
            ConfigurationError: the book cannot be written, or what is there is none.
        """
        with _files.locked(self.path.parent):
            entries = self._entries() if self.path.exists() else {}
            _files.replace(self.path, (json.dumps({**entries, name: address}, indent=2) + "\n").encode())

    def _entries(self) -> dict[str, Any]:
        """Read the book; an empty file is one without entries. Raises ConfigurationError."""
        data = _files.read(self.path)
        try:
            entries = json.loads(data or b"{}")
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{self.path}: is no address book ({type(error).__name__})") from None
        if not isinstance(entries, dict):
            raise ConfigurationError(f"{self.path}: is no address book (no JSON object)")
        return entries


def parse_address(text: str) -> tuple[str, int]:
    """Return address and port of `ADDRESS:PORT`.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    if not colon or bracketed is not (address.version == 6) or not (port.isascii() and port.isdigit()):
        raise ValueError(text)
    number = int(port)
    if number > 65535:
        raise ValueError(text)
    return str(address), number
