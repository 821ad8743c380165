"""Which identities a handshaker service can speak for, and what all of them believe (TRUST-2, TRUST-6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._config import Configuration
from .._errors import ConfigurationError
from .._messages import HANDSHAKE_CIPHERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._config import Credential
    from .._trust import Trust


@dataclass(frozen=True, slots=True)
class Identities:
    """The credentials of one handshaker service.

    Attributes:
        default: identity that speaks where a request names none (SPEC 9.2).
        configurations: what each identity brings to a handshake, by identity; requests narrow it.
    """

    default: str
    configurations: Mapping[str, Configuration]

    @classmethod
    def of(cls, default: Credential, others: Iterable[Credential], trust: Trust) -> Identities:
        """Collect credentials. Of several with one identity the default comes first, then the order of `others`.

        Raises:
            ConfigurationError: a certificate lists no handshake cipher of this version.
        """
        configurations: dict[str, Configuration] = {}
        for credential in (default, *others):
            if credential.identity in configurations:
                continue
            listed = credential.parsed.body.handshake_ciphers
            ciphers = tuple(cipher for cipher in HANDSHAKE_CIPHERS if cipher in listed)
            if not ciphers:
                raise ConfigurationError(f"{credential.identity}: its certificate lists no cipher of this version")
            configurations[credential.identity] = Configuration(credential, trust, handshake_ciphers=ciphers)
        return cls(default.identity, configurations)
