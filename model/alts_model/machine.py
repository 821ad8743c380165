"""The abstract machine: it walks the tables and evaluates guards and outputs over any algebra.

A connection is an immutable `Local`; `Machine.step` gives the next one. No bytes, buffers or clocks here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic

from alts_model.algebra import FINISHED_LABELS, TICKET_LABELS, Algebra, KeySchedule, key_schedule
from alts_model.errors import Misuse, Refused
from alts_model.messages import (
    MODE_FULL,
    Agreed,
    Alert,
    CertificateView,
    Choices,
    Claim,
    ClientInit,
    Finished,
    IssuedTicket,
    RpcRange,
    RpcVersion,
    ServerInit,
    V,
)
from alts_model.syntax import ENCRYPTING_RECORD_PROTOCOLS
from alts_model.tables import FRAME_LIMIT, NO_GUARD, STATES, Role, Transition, find, reaction, violation
from alts_model.trust import Trust, Verifier


@dataclass(frozen=True, eq=False)
class Party(Generic[V]):
    """One end of one connection: its credential, what it trusts, what it offers or allows, its nonce."""

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


@dataclass(frozen=True, slots=True)
class Local(Generic[V]):
    """The state of one end. What a state has not reached yet is None; a failed or closed connection holds nothing."""

    role: Role
    state: str
    party: Party[V]
    client_init: V | None = None
    server_init: V | None = None
    offered: ClientInit[V] | None = None
    agreed: Agreed[V] | None = None
    peer: CertificateView[V] | None = None
    schedule: KeySchedule[V] | None = None
    tickets: tuple[IssuedTicket[V] | None, IssuedTicket[V] | None] = (None, None)
    sent: int = 0
    received: int = 0
    delivered: V | None = None


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


class Machine(Generic[V]):
    """Both automata over one algebra. Guards and outputs are methods, so that the explorer can weaken one."""

    def __init__(self, algebra: Algebra[V], verifier: Verifier[V] | None = None) -> None:
        self.algebra = algebra
        self.verifier = Verifier(algebra) if verifier is None else verifier
        self._guards: dict[str, Callable[[Local[V], V | None], Local[V]]] = {
            NO_GUARD: lambda local, _: local,
            "acceptable (5.4)": self._accept_client_init,
            "acceptable (5.5)": self._accept_server_init,
            "both authenticators are right": self._finished_is_right,
            "the record opens": self._record_opens,
            "below the frame limit (8.4)": self._below_the_limit,
            "at a frame boundary": lambda local, _: local,
            "well-formed": self._alert_is_well_formed,
        }
        self._outputs: dict[str, Callable[[Local[V], V | None], tuple[Local[V], V]]] = {
            "ClientInit": self._client_init,
            "ServerInit": self._server_init,
            "ServerFinished": self._server_finished,
            "ClientFinished": self._client_finished,
            "payload": lambda local, _: (replace(local, delivered=None), present(local.delivered)),
            "data": self._record,
        }

    def vocabulary(self) -> tuple[frozenset[str], frozenset[str]]:
        """The guards and the outputs that this machine can evaluate."""
        return frozenset(self._guards), frozenset(self._outputs)

    def initial(self, role: Role, party: Party[V]) -> Local[V]:
        """A connection that has not begun."""
        return Local(role, STATES[role][0], party)

    def step(self, local: Local[V], input_name: str, payload: V | None = None) -> Outcome[V]:
        """One input. `payload` is the frame's payload, or for `send` the plaintext of one frame.

        Raises:
            Misuse: an application input without a row (SPEC.md 2.2).
        """
        role, state = local.role, local.state
        kind = reaction(role, state, input_name)
        if kind == "misuse":
            raise Misuse(f"{input_name} in {state}")
        if kind == "ignored":
            return Outcome(local)
        row = find(role, state, input_name)
        if row is None:
            name, alerts = violation(role, state, input_name)
            return self._fail(local, Refused(name), alerts)
        try:
            after = self._guards[row.guard](local, payload)
        except Refused as refusal:
            if input_name == "send":
                # Our own limit is no violation of the peer's: the connection is closed (SPEC.md 8.4).
                return Outcome(Local(role, "CLOSED", local.party), failure=Failure(refusal, state), row=row)
            alerts = state.startswith("WAIT_") and input_name not in ("alert", "end")
            return self._fail(local, refusal, alerts, row)
        if input_name == "alert":
            code = self.algebra.decode_alert(present(payload)).code
            return self._fail(local, Refused("PEER_ALERT"), False, row, code)
        outputs = []
        for name in row.output:
            after, value = self._outputs[name](after, payload)
            outputs.append((name, value))
        after = replace(after, state=row.next_state)
        claims = () if row.claim is None else (Claim(row.claim, after.agreed, after.tickets),)
        if row.next_state == "CLOSED":
            after = Local(role, "CLOSED", local.party)
        return Outcome(after, tuple(outputs), claims, None, row)

    def refuse(self, local: Local[V], name: str, *, alert: bool) -> Outcome[V]:
        """Fail for a reason that lies below the messages: the length of a frame (SPEC.md 3.3, 3.4)."""
        return self._fail(local, Refused(name), alert)

    def _fail(
        self,
        local: Local[V],
        refusal: Refused,
        alerts: bool,
        row: Transition | None = None,
        alert_code: int | None = None,
    ) -> Outcome[V]:
        failed: Local[V] = Local(local.role, "FAILED", local.party)
        outputs = (("Alert", self.algebra.encode(Alert(refusal.error.code))),) if alerts else ()
        return Outcome(failed, outputs, (), Failure(refusal, local.state, alert_code), row)

    # Guards: each gives the state that holds what it learnt, or raises Refused.

    def _accept_client_init(self, local: Local[V], payload: V | None) -> Local[V]:
        """SPEC.md 5.4, in its order."""
        client_init = present(payload)
        party = local.party
        message = self.algebra.decode_client_init(client_init)
        cipher = choose(message.handshake_ciphers, party.handshake_ciphers, "NO_COMMON_HANDSHAKE_CIPHER")
        application = choose(
            message.application_protocols, party.application_protocols, "NO_COMMON_APPLICATION_PROTOCOL"
        )
        rpc = rpc_version_in_force(message.rpc_versions, party.rpc_versions)
        peer = self.verifier.verify(message.certificate, party.trust, "client")
        if cipher not in peer.handshake_ciphers:
            raise Refused("ILLEGAL_PARAMETER", "a cipher that the client's certificate does not list")
        allowed = [name for name in party.record_protocols if record_allowed(name, party.view, peer)]
        record = choose(message.record_protocols, allowed, "NO_COMMON_RECORD_PROTOCOL")
        shared = self._shared_secret(party, peer)
        choices = Choices(cipher, record, application, rpc, min(message.max_frame_size, party.max_frame_size))
        agreed = Agreed(
            peer.identity,
            party.view.identity,
            message.nonce,
            party.nonce,
            message.certificate,
            party.certificate,
            message.handshake_ciphers,
            message.record_protocols,
            message.application_protocols,
            choices,
        )
        server_init = self.algebra.encode(
            ServerInit(
                party.nonce,
                MODE_FULL,
                party.certificate,
                cipher,
                record,
                application,
                party.rpc_versions,
                choices.max_frame_size,
            )
        )
        schedule = key_schedule(self.algebra, shared, client_init, server_init, agreed.client, agreed.server)
        return replace(
            local,
            client_init=client_init,
            server_init=server_init,
            offered=message,
            agreed=agreed,
            peer=peer,
            schedule=schedule,
        )

    def _accept_server_init(self, local: Local[V], payload: V | None) -> Local[V]:
        """SPEC.md 5.5, in its order."""
        server_init = present(payload)
        party, offered = local.party, present(local.offered)
        message = self.algebra.decode_server_init(server_init)
        if message.mode != MODE_FULL or message.certificate is None or message.ticket is not None:
            raise Refused("ILLEGAL_PARAMETER", "mode")
        if (
            message.handshake_cipher not in offered.handshake_ciphers
            or message.record_protocol not in offered.record_protocols
            or message.application_protocol not in offered.application_protocols
        ):
            raise Refused("ILLEGAL_PARAMETER", "a choice that was not offered")
        if message.key_share is not None or message.max_frame_size > offered.max_frame_size:
            raise Refused("ILLEGAL_PARAMETER", "key_share or max_frame_size")
        rpc = rpc_version_in_force(offered.rpc_versions, message.rpc_versions)
        peer = self.verifier.verify(message.certificate, party.trust, "server")
        if message.handshake_cipher not in peer.handshake_ciphers:
            raise Refused("ILLEGAL_PARAMETER", "a cipher that the server's certificate does not list")
        if not record_allowed(message.record_protocol, party.view, peer):
            raise Refused("INSUFFICIENT_PROTECTION")
        shared = self._shared_secret(party, peer)
        agreed = Agreed(
            party.view.identity,
            peer.identity,
            party.nonce,
            message.nonce,
            party.certificate,
            message.certificate,
            offered.handshake_ciphers,
            offered.record_protocols,
            offered.application_protocols,
            Choices(
                message.handshake_cipher,
                message.record_protocol,
                message.application_protocol,
                rpc,
                message.max_frame_size,
            ),
        )
        schedule = key_schedule(
            self.algebra, shared, present(local.client_init), server_init, agreed.client, agreed.server
        )
        return replace(local, server_init=server_init, agreed=agreed, peer=peer, schedule=schedule)

    def _shared_secret(self, party: Party[V], peer: CertificateView[V]) -> V:
        shared = self.algebra.dh(party.private_key, peer.x25519_public_key)
        if self.algebra.is_zero(shared):
            raise Refused("BAD_KEY_SHARE")
        return shared

    def _finished_is_right(self, local: Local[V], payload: V | None) -> Local[V]:
        """SPEC.md 5.6. Client: ServerFinished. Server: ClientFinished."""
        sender: Role = "server" if local.role == "client" else "client"
        message = self.algebra.decode_finished(present(payload), sender)
        expected = self.finished(local, sender, message.ticket)
        if not self.authenticator_is_right(sender, expected, message):
            raise Refused("BAD_FINISHED")
        if not self.ticket_authenticator_is_right(sender, expected, message):
            raise Refused("BAD_TICKET_AUTHENTICATOR")
        server_ticket, client_ticket = local.tickets
        tickets = (message.ticket, client_ticket) if sender == "server" else (server_ticket, message.ticket)
        return replace(local, tickets=tickets)

    def authenticator_is_right(self, sender: Role, expected: Finished[V], given: Finished[V]) -> bool:
        """Whether the first authenticator is the sender's (HS-7, HS-9)."""
        return self.algebra.equal(expected.authenticator, given.authenticator)

    def ticket_authenticator_is_right(self, sender: Role, expected: Finished[V], given: Finished[V]) -> bool:
        """Whether the second authenticator is the sender's (SPEC.md 7.6)."""
        return self.algebra.equal(expected.ticket_authenticator, given.ticket_authenticator)

    def _record_opens(self, local: Local[V], payload: V | None) -> Local[V]:
        if local.received >= FRAME_LIMIT:
            raise Refused("COUNTER_LIMIT")
        sender: Role = "server" if local.role == "client" else "client"
        plaintext = self.algebra.open(present(local.schedule).M, sender, local.received, present(payload))
        if plaintext is None:
            raise Refused("BAD_RECORD")
        return replace(local, received=local.received + 1, delivered=plaintext)

    def _below_the_limit(self, local: Local[V], _: V | None) -> Local[V]:
        if local.sent >= FRAME_LIMIT:
            raise Refused("COUNTER_LIMIT")
        return local

    def _alert_is_well_formed(self, local: Local[V], payload: V | None) -> Local[V]:
        self.algebra.decode_alert(present(payload))
        return local

    # Outputs: each gives the state after it and the payload to send.

    def _client_init(self, local: Local[V], _: V | None) -> tuple[Local[V], V]:
        party = local.party
        message = ClientInit(
            party.nonce,
            party.certificate,
            party.handshake_ciphers,
            party.record_protocols,
            (),
            party.application_protocols,
            party.rpc_versions,
            party.max_frame_size,
        )
        payload = self.algebra.encode(message)
        return replace(local, offered=message, client_init=payload), payload

    def _server_init(self, local: Local[V], _: V | None) -> tuple[Local[V], V]:
        return local, present(local.server_init)

    def _server_finished(self, local: Local[V], _: V | None) -> tuple[Local[V], V]:
        return local, self.algebra.encode(self.finished(local, "server", None))

    def _client_finished(self, local: Local[V], _: V | None) -> tuple[Local[V], V]:
        return local, self.algebra.encode(self.finished(local, "client", None))

    def finished(self, local: Local[V], sender: Role, ticket: IssuedTicket[V] | None) -> Finished[V]:
        """The Finished message that `sender` sends in this handshake with `ticket` (SPEC.md 7.5, 7.6)."""
        A = present(local.schedule).A
        return Finished(
            self.algebra.authenticator(A, FINISHED_LABELS[sender]),
            self.algebra.ticket_authenticator(A, TICKET_LABELS[sender], ticket),
            ticket,
        )

    def _record(self, local: Local[V], plaintext: V | None) -> tuple[Local[V], V]:
        M = present(local.schedule).M
        payload = self.algebra.seal(M, local.role, local.sent, present(plaintext))
        return replace(local, sent=local.sent + 1), payload


def present(value: V | None) -> V:
    """The value, which the state guarantees to be there."""
    assert value is not None
    return value


def choose(offered: tuple[str, ...], allowed: tuple[str, ...] | list[str], error: str) -> str:
    """The first of the client's list that the server allows (SPEC.md 6.1, HS-4). Raises Refused with `error`."""
    for name in offered:
        if name in allowed:
            return name
    raise Refused(error)


def rpc_version_in_force(left: RpcRange, right: RpcRange) -> RpcVersion:
    """The smaller `max` (SPEC.md 6.3). Raises Refused if the ranges do not overlap."""
    highest = min(left[0], right[0])
    if max(left[1], right[1]) > highest:
        raise Refused("NO_COMMON_RPC_VERSION")
    return highest


def record_allowed(name: str, own: CertificateView[V], peer: CertificateView[V]) -> bool:
    """Whether a record protocol may run between the two boundaries (SPEC.md 6.2, REC-7)."""
    same = own.boundary == peer.boundary != ""
    return same or name in ENCRYPTING_RECORD_PROTOCOLS
