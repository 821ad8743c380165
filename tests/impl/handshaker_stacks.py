"""What a gRPC stack sends to a handshaker service, and a seeded service's identities, for the tests of it."""

from __future__ import annotations

import random
from typing import Any

from alts import Credential, Environment, Realm
from alts.handshaker import HandshakerSession, Identities
from alts_schema import handshaker_pb2 as wire
from tests.impl.pair import NOW

CLIENT, SERVER = "shop/client", "shop/server"


class Bench:
    """One realm with a client, a server and a service that holds both; `CLIENT` is its default."""

    def __init__(self, seed: int = 1, **hooks: Any) -> None:
        self.random = random.Random(seed)
        self.realm = Realm(self.random.randbytes, NOW)
        self.environment = Environment(hooks.get("clock", lambda: NOW + 10.0), self.random.randbytes)
        self.credentials: list[Credential] = [self.realm.workload(CLIENT), self.realm.workload(SERVER)]
        self.identities = Identities.of(self.credentials[0], self.credentials[1:], self.realm.trust())

    def session(self, **limits: int) -> HandshakerSession:
        """A new stream."""
        return HandshakerSession(self.identities, self.environment, **limits)


def account(name: str) -> wire.Identity:
    """A service account."""
    return wire.Identity(service_account=name)


def client_start(**fields: Any) -> wire.HandshakerReq:
    """What the C-core sends, with changes."""
    given = {"handshake_security_protocol": wire.ALTS, "application_protocols": ["grpc"], **fields}
    return wire.HandshakerReq(client_start=wire.StartClientHandshakeReq(**given))


def server_start(data: bytes = b"", *, local: list[wire.Identity] | None = None, **fields: Any) -> wire.HandshakerReq:
    """The same for a server; it speaks for `SERVER` unless told otherwise."""
    parameters = wire.ServerHandshakeParameters(
        record_protocols=["ALTSRP_GCM_AES128_REKEY"], local_identities=[account(SERVER)] if local is None else local
    )
    given = {"application_protocols": ["grpc"], "handshake_parameters": {wire.ALTS: parameters}, **fields}
    return wire.HandshakerReq(server_start=wire.StartServerHandshakeReq(in_bytes=data, **given))


def following(data: bytes) -> wire.HandshakerReq:
    """Bytes of the peer."""
    return wire.HandshakerReq(next=wire.NextHandshakeMessageReq(in_bytes=data))
