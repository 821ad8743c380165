"""The realm that all vectors are about, from a seed: identities, endpoints, chains that can be spoilt anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from alts_model.algebra import HANDSHAKE_LABEL, MASTER_LABEL
from alts_model.issuing import build_handshake, build_master, sign_body
from alts_model.primitives import ed25519_public, hmac_sha256, sha256, x25519_public

from . import _wire
from .target import EndpointSettings

HUMAN, MACHINE, WORKLOAD = 1, 2, 3
NOW: Final = 1_893_456_000
HOUR: Final = 3600
CIPHER: Final = "X25519_STATIC_SHA256"
RESERVED_CIPHER: Final = "X25519_PFS_SHA256"
RECORD_PROTOCOL: Final = "ALTSRP_GCM_AES128_REKEY"
CLIENT, SERVER, ISSUER = "test/frontend", "test/backend", "test/cluster-master"

Patch = Callable[[bytes], bytes]


def same(data: bytes) -> bytes:
    """No patch."""
    return data


@dataclass(frozen=True)
class Chain:
    """How a handshake certificate is made; each step can be changed, and what follows is signed over the change.

    `master` and `handshake` are arguments of the model's builders; `patch_*` are applied to serialised bytes: a body
    before it is signed, a whole certificate after.
    """

    signing_seed: bytes = field(repr=False)
    master_seed: bytes = field(repr=False)
    private_key: bytes = field(repr=False)
    master: dict[str, Any] = field(default_factory=dict)
    handshake: dict[str, Any] = field(default_factory=dict)
    patch_master_body: Patch = same
    patch_master: Patch = same
    patch_body: Patch = same
    patch_certificate: Patch = same

    def build(self) -> bytes:
        """The serialised handshake certificate."""
        master = build_master(self.signing_seed, **self.master)
        body = self.patch_master_body(_wire.get(master, 1))
        if self.patch_master_body is not same:
            master = _wire.join([(1, 2, body), (2, 2, sign_body(self.signing_seed, MASTER_LABEL, body))])
        master = self.patch_master(master)
        outer = build_handshake(self.master_seed, master, **self.handshake)
        if self.patch_body is not same:
            body = self.patch_body(_wire.get(outer, 1))
            outer = _wire.join(
                [(1, 2, body), (2, 2, sign_body(self.master_seed, HANDSHAKE_LABEL, body)), (3, 2, master)]
            )
        return self.patch_certificate(outer)

    def but(
        self, *, master: dict[str, Any] | None = None, handshake: dict[str, Any] | None = None, **changes: Any
    ) -> Chain:
        """A copy with some arguments of the builders, or other fields, replaced."""
        return replace(
            self, master={**self.master, **(master or {})}, handshake={**self.handshake, **(handshake or {})}, **changes
        )

    def but_patched(self, step: str, patch: Patch) -> Chain:
        """A copy with the patch of that name."""
        changes: dict[str, Any] = {step: patch}
        return replace(self, **changes)


class World:
    """Everything that follows from the seed. Same seed and calls, same bytes."""

    def __init__(self, seed: str) -> None:
        self._seed = sha256(seed.encode())
        self.signing_seed = self.derive("signing service")
        self.signing_key = ed25519_public(self.signing_seed)

    def derive(self, name: str) -> bytes:
        """32 bytes that belong to a name."""
        return hmac_sha256(self._seed, name.encode())

    def chain(self, identity: str, category: int = WORKLOAD, number: int = 1) -> Chain:
        """An honest chain for an identity; `number` tells certificate IDs apart."""
        master_seed, private_key = self.derive(f"master {identity}"), self.derive(f"x25519 {identity}")
        begin, end = NOW - HOUR, NOW + (19 if category == HUMAN else 47) * HOUR
        shared = category << 56 | number << 8
        return Chain(
            self.signing_seed,
            master_seed,
            private_key,
            master={
                "category": category,
                "identity": ISSUER if category == WORKLOAD else identity,
                "issuer": ISSUER,
                "public_key": ed25519_public(master_seed),
                "revocation_id": shared,
                "not_before": begin,
                "not_after": end,
                "workload_identities": ("test/**",) if category == WORKLOAD else (),
            },
            handshake={
                "category": category,
                "identity": identity,
                "x25519_public_key": x25519_public(private_key),
                "revocation_id": shared if category == HUMAN else shared | 1,
                "not_before": begin,
                "not_after": end,
                "boundary": "site-1",
            },
        )

    def settings(self, chain: Chain, name: str, /, **changes: Any) -> EndpointSettings:
        """Settings of an endpoint that trusts the realm; the nonce is derived from `name`."""
        base = EndpointSettings(
            certificate=chain.build(),
            private_key=chain.private_key,
            trust_anchors=(self.signing_key,),
            policy=((ISSUER, HUMAN, "test/**"), (ISSUER, MACHINE, "test/**"), (ISSUER, WORKLOAD, "test/**")),
            revoked=frozenset(),
            now=NOW,
            nonce=self.derive(f"nonce {name}"),
            handshake_ciphers=(CIPHER,),
            record_protocols=(RECORD_PROTOCOL,),
            application_protocols=("grpc",),
            rpc_max=(2, 1),
            rpc_min=(2, 1),
            max_frame_size=1048576,
        )
        return replace(base, **changes)

    def client(self, **changes: Any) -> EndpointSettings:
        """The usual client."""
        return self.settings(self.chain(CLIENT, number=1), "client", **changes)

    def server(self, **changes: Any) -> EndpointSettings:
        """The usual server."""
        return self.settings(self.chain(SERVER, number=2), "server", **changes)
