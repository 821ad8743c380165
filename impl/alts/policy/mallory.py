"""The story of Mallory (POLICY-3), with real certificates, real policy files and a real handshake.

Mallory, a corporate user, has a master certificate for the identity of the network administrator signed. The Signing
Service signs, since it decides nothing (POLICY-2), and names Mallory as the issuer (ISSUE-2). Mallory signs a handshake
certificate with it and connects. The peer's policy does not let Mallory issue for that identity: the handshake fails.
With a rule that is loosened so far that users may issue, the same certificate gets in: it is the policy that stops it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .._config import Configuration, Credential, Environment
from .._connection import Connection
from .._errors import ErrorCode
from .._events import ConnectionFailed, HandshakeCompleted
from .._issuer import Issuer, Realm
from .._table import Role
from .._trust import HUMAN_LIFETIME, Category
from ._compiled import PolicyStore, compile_policy
from ._document import read_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .._errors import PeerViolation
    from .._trust import Peer, Policy

MALLORY, VICTIM, SERVER = "corp/mallory", "corp/network-admin", "prod/router-config"
DEPLOYMENT = "production"
STRICT = """\
format = 1
deployment = "production"

[[rule]]
comment = "the internal CA authenticates people"
issuer = "ca"
category = "human"
identity = "corp/*"

[[rule]]
issuer = "cluster-master"
category = "workload"
identity = "prod/**"
"""
LOOSENED = STRICT.replace('issuer = "ca"', 'issuer = "**"')
"""The same with one word changed: anybody may issue certificates of people."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a connection attempt ended at the server: the peer that it accepted, or why it refused."""

    peer: Peer | None
    error: PeerViolation | None

    @property
    def completed(self) -> bool:
        """Whether the handshake completed."""
        return self.peer is not None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the story: what happens, in words, and whether it is what should happen."""

    text: str
    right: bool


def forged_credential(realm: Realm) -> Credential:
    """Return Mallory's credential for the network administrator: every signature in it is good (ISSUE-1 to ISSUE-4)."""
    mallory = Issuer(MALLORY, realm.signing_service, realm.random, next_id=1 << 40)
    end = realm.now + HUMAN_LIFETIME
    master = mallory.issue_master(VICTIM, Category.HUMAN, not_before=realm.now, not_after=end)
    return mallory.issue_handshake(master)


def attempt(realm: Realm, credential: Credential, policy: Policy) -> Attempt:
    """Connect with a credential to a server of the realm that enforces `policy`; return how it ended there."""
    environment = Environment(lambda: float(realm.now), realm.random)
    trust = realm.trust()
    client = Connection(Role.CLIENT, Configuration(credential, trust), environment)
    configuration = Configuration(realm.workload(SERVER), replace(trust, policy=policy))
    server = Connection(Role.SERVER, configuration, environment)
    client.start()
    events = list(server.receive_data(client.data_to_send()))
    client.receive_data(server.data_to_send())
    events += server.receive_data(client.data_to_send())
    peer = next((event.peer for event in events if isinstance(event, HandshakeCompleted)), None)
    error = next((event.error for event in events if isinstance(event, ConnectionFailed)), None)
    return Attempt(peer, error)


def walk_through(directory: Path, *, random: Callable[[int], bytes], now: int) -> list[Step]:
    """Play the story and return its steps; all of them are `right` where the policy check works.

    Args:
        directory: for the store of the server's policy; it exists, and only its owner may write it.
        random: returns that many unpredictable bytes.
        now: seconds since the epoch.
    """
    realm = Realm(random, now)
    key = Ed25519PrivateKey.from_private_bytes(random(32))
    store = PolicyStore(
        directory, keys=[key.public_key().public_bytes_raw()], deployment=DEPLOYMENT, clock=lambda: float(now)
    )

    def publish(text: str, sequence: int) -> None:
        store.offer(compile_policy(read_document(text), key=key, sequence=sequence, issued_at=now))

    credential = forged_credential(realm)
    issuer = credential.parsed.master_body.issuer
    steps = [
        Step(
            f"{MALLORY} has a master certificate for {VICTIM} signed; the Signing Service names {issuer} as its issuer",
            issuer == MALLORY,
        )
    ]
    publish(STRICT, 1)
    honest = attempt(realm, realm.human(VICTIM), store.policy)
    steps.append(
        Step(
            f"the real {VICTIM}, whose issuer is {realm.CA_NAME}, connects to {SERVER}: {_ending(honest)}",
            honest.completed,
        )
    )
    refused = attempt(realm, credential, store.policy)
    steps.append(
        Step(
            f"{MALLORY} connects to {SERVER} as {VICTIM}: {_ending(refused)}",
            refused.error is not None and refused.error.code is ErrorCode.POLICY_DENIED,
        )
    )
    publish(LOOSENED, 2)
    admitted = attempt(realm, credential, store.policy)
    steps.append(
        Step(
            f"with a policy that lets everybody issue certificates of people: {_ending(admitted)}",
            admitted.peer is not None and admitted.peer.issuer == MALLORY,
        )
    )
    publish(STRICT, 3)
    again = attempt(realm, credential, store.policy)
    steps.append(Step(f"with the strict policy again: {_ending(again)}", not again.completed))
    return steps


def _ending(ended: Attempt) -> str:
    if ended.peer is not None:
        return f"accepted as {ended.peer.identity}"
    return f"refused: {ended.error}" if ended.error is not None else "nothing came of it"
