"""What the ALTS loops of `alts bench handshake` run in: two machines' trust stores on disk, two workloads, all checks.

No check is stubbed: policy and revocations come from signed files that each machine's store verified and holds, and the
configurations are what an operator's endpoints have.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyroaring import BitMap64

from alts import (
    X25519_PFS_SHA256,
    X25519_STATIC_SHA256,
    Category,
    Configuration,
    Connection,
    Environment,
    HandshakeCompleted,
    Opener,
    Realm,
    Resumption,
    ResumptionKeys,
    Role,
    Sealer,
    Trust,
    UsedSecretsInMemory,
    VerifiedSignatures,
)
from alts.policy import PolicyStore, compile_policy, read_document
from alts.revocation import RevocationStore, compile_revocations

from ._cold import forget_peers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

CLIENT, SERVER = "shop/frontend/1", "shop/backend"
_REVOKED = 100_000
_DEPLOYMENT = "bench"
_POLICY = """
format = 1
deployment = "bench"
[[rule]]
issuer = "ca"
category = "human"
identity = "people/*"
[[rule]]
issuer = "ca"
category = "machine"
identity = "machines/**"
"""
_SERVICE = """
[[rule]]
issuer = "cluster-master"
category = "workload"
identity = "{}/**"
"""
_SERVICES = (*(f"service{number}" for number in range(30)), "shop")
_LIMIT = 1 << 22
"""Secrets that the server's memory holds. In a day of real life it is asked less often than here in a minute."""
_ASYMMETRIC = ("x25519", "x448", "ed25519", "ed448", "ec", "rsa", "dsa", "dh", "mlkem", "mldsa")


class World:
    """A realm with two workloads on two machines.

    Args:
        directory: for the stores; it is empty.

    Attributes:
        revoked: IDs in the revocation file; none is asked about here.
        rules: of the policy.
    """

    def __init__(self, directory: Path) -> None:
        self._realm = Realm(os.urandom, int(time.time()))
        self._environment = Environment(time.time, os.urandom)
        self._client = self._realm.workload(CLIENT)
        self._server = self._realm.workload(SERVER)
        document = read_document(_POLICY + "".join(map(_SERVICE.format, _SERVICES)))
        self.rules = len(document.rules)
        own = {number for workload in (self._client, self._server) for number in workload.peer.revocation_ids}
        top = int(Category.WORKLOAD) << 56
        ids = BitMap64(number for number in range(top + (1 << 20), top + (1 << 20) + 41 * _REVOKED, 41))
        assert not own & set(ids)
        self.revoked = len(ids)
        key = Ed25519PrivateKey.generate()
        pinned, now = key.public_key().public_bytes_raw(), self._realm.now
        policy_file = compile_policy(document, key=key, sequence=1, issued_at=now)
        revocation_file = compile_revocations(ids, key=key, sequence=1, issued_at=now)
        self._stores: dict[Role, tuple[PolicyStore, RevocationStore]] = {}
        for role in Role:
            places = directory / role / "policy", directory / role / "revocations"
            for place in places:
                place.mkdir(mode=0o700, parents=True)
            policy = PolicyStore(places[0], keys=[pinned], deployment=_DEPLOYMENT, clock=time.time)
            revocations = RevocationStore(places[1], keys=[pinned], clock=time.time)
            policy.offer(policy_file)
            revocations.offer(revocation_file)
            self._stores[role] = policy, revocations

    def _trust(self, role: Role, *, cache: bool) -> Trust:
        policy, revocations = self._stores[role]
        anchor = self._realm.signing_service
        return Trust(
            {anchor.verification_key_id: anchor.verification_key},
            policy.policy,
            revocations.is_revoked,
            VerifiedSignatures() if cache else None,
        )

    def loop(
        self,
        count: int,
        *,
        resume: bool = False,
        both: bool = False,
        cache: bool = False,
        forget: bool = False,
        pfs: bool = False,
        record_keys: bool = False,
    ) -> Callable[[], int]:
        """Return a loop of `count` handshakes between the two, both sides in this thread.

        Args:
            resume: every handshake resumes the one before, with a server-made ticket; each makes the next one's.
            both: the client makes a ticket in each, too.
            cache: signatures of certificates seen before are not verified again; all else about them is.
            forget: before each handshake empty what the process remembers of peers, but for what `cache` and `resume`
                say; both ends start with the peer unknown.
            pfs: both sides have X25519_PFS_SHA256 alone, with ephemeral shares in every handshake; else
                X25519_STATIC_SHA256.
            record_keys: also set up both directions of the record protocol at both ends.
        """
        keys = ResumptionKeys(os.urandom(16), {1: os.urandom(32)})
        used = UsedSecretsInMemory(_LIMIT)
        ciphers = (X25519_PFS_SHA256 if pfs else X25519_STATIC_SHA256,)
        server_configuration = Configuration(
            self._server,
            self._trust(Role.SERVER, cache=cache),
            handshake_ciphers=ciphers,
            resumption=Resumption(keys, used=used, server_tickets_with_pfs=pfs) if resume else None,
        )
        own_keys = ResumptionKeys(os.urandom(16), {1: os.urandom(32)}) if both else None
        client_configuration = Configuration(
            self._client,
            self._trust(Role.CLIENT, cache=cache),
            handshake_ciphers=ciphers,
            resumption=Resumption(own_keys) if resume else None,
        )
        environment, targets = self._environment, frozenset({SERVER})
        mode = "client_ticket" if resume else "full"

        def one() -> str:
            client = Connection(Role.CLIENT, client_configuration.for_targets(targets), environment)
            server = Connection(Role.SERVER, server_configuration, environment)
            client.start()
            server.receive_data(client.data_to_send())
            opened = client.receive_data(server.data_to_send())
            accepted = server.receive_data(client.data_to_send())
            for event, peer in ((opened[0], SERVER), (accepted[0], CLIENT)):
                if not isinstance(event, HandshakeCompleted) or event.peer.identity != peer:
                    raise RuntimeError("the handshake did not complete")
            if record_keys:
                for end in (client, server):
                    result = end.result
                    assert result is not None  # it is complete
                    for direction in (Sealer, Opener):
                        direction(result.record_secret, end.role, result.negotiated.max_frame_size).next_nonce()
            return accepted[0].negotiated.mode if isinstance(accepted[0], HandshakeCompleted) else ""

        one()  # with `resume`: brings the first ticket; with `cache`: the certificates

        in_force = [policy.usable() for policy, _ in self._stores.values()]
        policies = tuple(current.value.policy for current in in_force if current is not None)

        def run() -> int:
            for _ in range(count):
                if forget:
                    forget_peers(policies)
                if one() != mode:
                    raise RuntimeError(f"the handshake was to be {mode}")
            return count

        return run


def asymmetric_operations(run: Callable[[], object]) -> int:
    """Return how many calls `run` makes into the library's code for asymmetric keys, by watching every call into C.

    Whoever makes them and under whatever name: exchanges, signatures, verifications, encapsulations, and also the
    making and loading of keys.
    """
    count = 0

    def watch(frame: FrameType, event: str, function: object) -> None:
        nonlocal count
        del frame
        if event == "c_call":
            module = getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__
            count += module.rpartition(".")[2] in _ASYMMETRIC

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count
