"""Which identities a handshaker service can speak for, and what all of them believe (TRUST-2, TRUST-6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._config import Configuration
from .._errors import ConfigurationError
from .._messages import DEFAULT_HANDSHAKE_CIPHERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .._config import Credential
    from .._resumption import Resumption
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
    def of(
        cls,
        default: Credential,
        others: Iterable[Credential],
        trust: Trust,
        *,
        ciphers: Sequence[str] = DEFAULT_HANDSHAKE_CIPHERS,
        resumption: Mapping[str, Resumption] | None = None,
    ) -> Identities:
        """Collect credentials. Of several with one identity the default comes first, then the order of `others`.

        Args:
            default: of the identity that speaks where a request names none.
            others: further ones.
            trust: what all believe.
            ciphers: allowed ones, in order of preference; an identity has those that its certificate lists (SPEC 6.1).
            resumption: keys and caches by identity; what is not in it makes full handshakes only.

        Raises:
            ConfigurationError: a cipher is unknown, or a certificate lists none of them.
        """
        states = resumption or {}
        configurations: dict[str, Configuration] = {}
        for credential in (default, *others):
            if credential.identity in configurations:
                continue
            listed = credential.parsed.body.handshake_ciphers
            allowed = tuple(cipher for cipher in ciphers if cipher in listed)
            if not allowed:
                raise ConfigurationError(f"{credential.identity}: its certificate lists none of {', '.join(ciphers)}")
            configurations[credential.identity] = Configuration(
                credential, trust, handshake_ciphers=allowed, resumption=states.get(credential.identity)
            )
        return cls(default.identity, configurations)
