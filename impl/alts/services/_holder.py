"""The credential that new handshakes use, and can be exchanged while connections live on (CRED-6, ISSUE-8).

A `Configuration` never changes. A `CredentialHolder` has the present one; it is given to servers and channels of
`alts.aio` and `alts.grpclib_adapter` in place of a configuration, and they ask it at each handshake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpclib.client

from .. import aio, grpclib_adapter
from .._config import Configuration
from .._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from .._config import Credential, Environment
    from .._resumption import Resumption
    from .._tickets import ResumptionKeys
    from .._trust import Trust


class CredentialHolder:
    """Has the present configuration of an endpoint.

    Args:
        trust: what the endpoint believes; its answers may change by themselves.
        resumption: keys and caches, which outlive every credential; None: full handshakes only.
        options: for every `Configuration` made here.
    """

    def __init__(self, trust: Trust, resumption: Resumption | None = None, **options: Any) -> None:
        self._trust = trust
        self._options = options
        self._configuration: Configuration | None = None
        self.resumption = resumption

    def update(self, credential: Credential, keys: ResumptionKeys | None = None) -> None:
        """Use `credential`, and resumption keys, from the next handshake on. What runs is not touched.

        Raises:
            ConfigurationError: they cannot be used; the old ones stay.
        """
        configuration = Configuration(credential, self._trust, resumption=self.resumption, **self._options)
        if self.resumption is not None:
            self.resumption.keys = keys
        self._configuration = configuration

    @property
    def configuration(self) -> Configuration:
        """The configuration for a handshake that begins now.

        Raises:
            UsageError: there is no credential yet.
        """
        if self._configuration is None:
            raise UsageError("no credential was provisioned yet")
        return self._configuration

    def __call__(self) -> Configuration:
        """The same, as servers and channels ask for it (`alts.aio.ConfigurationSource`)."""
        return self.configuration


class RotatingChannel(grpclib_adapter.Channel):
    """A grpclib channel that tells which connection a call goes over, for proofs of possession.

    Args:
        host: of the server.
        port: of the server.
        holder: of the client's credential; asked at each handshake.
        targets: identities that the server must have one of.
        environment: clock and randomness.
    """

    def __init__(
        self,
        host: str,
        port: int,
        holder: CredentialHolder,
        targets: Collection[str],
        environment: Environment = aio.SYSTEM,
    ) -> None:
        super().__init__(host, port, configuration=holder, environment=environment, target_identities=targets)

    async def connect(self) -> bytes:
        """Connect if there is no live connection, and return the transcript hash of the connection, 32 bytes."""
        await grpclib.client.Channel.__connect__(self)
        assert self.transport is not None  # connected
        evidence = self.transport.get_extra_info("alts_evidence")
        return bytes(evidence.transcript_hash)
