"""A connection as immutable data: who is at this end, how far it has come, and what one step gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from alts_model.algebra import KeySchedule
from alts_model.errors import Refused
from alts_model.keying import Randomness
from alts_model.messages import Agreed, CertificateView, Claim, ClientInit, IssuedTicket, RpcRange, V
from alts_model.resuming import Notes, other_role
from alts_model.stores import Held, Session, SessionParty
from alts_model.tables import Role, Transition
from alts_model.trust import Trust


@dataclass(frozen=True, eq=False)
class Party(Generic[V]):
    """One end of one connection: its credential, what it trusts, what it offers or allows, its fresh values."""

    certificate: V
    view: CertificateView[V]
    private_key: V = field(repr=False)
    trust: Trust[V]
    handshake_ciphers: tuple[str, ...]
    record_protocols: tuple[str, ...]
    application_protocols: tuple[str, ...]
    rpc_versions: RpcRange
    max_frame_size: int
    nonce: V
    randomness: Randomness[V] = field(default_factory=Randomness, repr=False)


@dataclass(frozen=True, slots=True)
class Local(Generic[V]):
    """The state of one end. What a state has not reached yet is None; a failed or closed connection holds nothing.

    `held` is the ticket that a client has sent; `notes` are values on the way, by name, for vectors.
    """

    role: Role
    state: str
    party: Party[V]
    client_init: V | None = None
    server_init: V | None = None
    offered: ClientInit[V] | None = None
    agreed: Agreed[V] | None = None
    session: Session[V] | None = None
    schedule: KeySchedule[V] | None = None
    held: Held[V] | None = None
    notes: Notes[V] = ()
    tickets: tuple[IssuedTicket[V] | None, IssuedTicket[V] | None] = (None, None)
    sent: int = 0
    received: int = 0
    delivered: V | None = None

    @property
    def peer(self) -> SessionParty[V] | None:
        """The other end, once there is a session."""
        return None if self.session is None else self.session.party(other_role(self.role))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a connection failed: the error, the state in which it happened, a peer's alert code if that was it."""

    refusal: Refused
    state: str
    alert_code: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[V]):
    """One step: the next state; what is sent, or handed over (`payload`), in order; the claims made; the failure."""

    local: Local[V]
    outputs: tuple[tuple[str, V], ...] = ()
    claims: tuple[Claim[V], ...] = ()
    failure: Failure | None = None
    row: Transition | None = None
