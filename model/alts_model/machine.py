"""The abstract machine: it walks the tables and evaluates guards and outputs over any algebra.

A connection is an immutable `Local`; `Machine.step` gives the next one. No bytes, buffers or clocks here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic

from alts_model import modes
from alts_model.algebra import FINISHED_LABELS, TICKET_LABELS, Algebra, key_schedule
from alts_model.ciphers import CIPHERS
from alts_model.connection import Failure, Local, Outcome, Party
from alts_model.errors import Misuse, Refused
from alts_model.keying import KeyAgreement, Material, StaticKeys
from alts_model.messages import (
    MODE_CLIENT_TICKET,
    MODE_FULL,
    MODE_SERVER_TICKET,
    Agreed,
    Alert,
    Choices,
    Claim,
    ClientInit,
    Finished,
    IssuedTicket,
    ServerInit,
    V,
    present,
)
from alts_model.negotiation import choose, record_allowed, rpc_version_in_force
from alts_model.resuming import Owner, Resumer, other_role
from alts_model.stores import Resumption, Session, SessionParty, session_party
from alts_model.tables import FRAME_LIMIT, NO_GUARD, STATES, Role, Transition, find, reaction, violation
from alts_model.trust import Verifier


class Machine(Generic[V]):
    """Both automata over one algebra. Guards and outputs are methods, so that the explorer can weaken one."""

    def __init__(
        self,
        algebra: Algebra[V],
        verifier: Verifier[V] | None = None,
        resumer: Resumer[V] | None = None,
        keying: KeyAgreement[V] | None = None,
    ) -> None:
        self.algebra = algebra
        self.verifier = Verifier(algebra) if verifier is None else verifier
        self.resumer = Resumer(algebra) if resumer is None else resumer
        self.keying = KeyAgreement(algebra) if keying is None else keying
        self._nothing: Resumption[V] = Resumption()
        self._guards: dict[str, Callable[[Local[V], V | None, Resumption[V]], Local[V]]] = {
            NO_GUARD: lambda local, _payload, _: local,
            "acceptable (5.4)": self._accept_client_init,
            "acceptable (5.5)": self._accept_server_init,
            "both authenticators are right": self._finished_is_right,
            "the record opens": self._record_opens,
            "below the frame limit (8.4)": self._below_the_limit,
            "at a frame boundary": lambda local, _payload, _: local,
            "well-formed": self._alert_is_well_formed,
        }
        self._outputs: dict[str, Callable[[Local[V], V | None, Resumption[V]], tuple[Local[V], V]]] = {
            "ClientInit": self._client_init,
            "ServerInit": self._server_init,
            "ServerFinished": self._send_finished,
            "ClientFinished": self._send_finished,
            "payload": lambda local, _payload, _: (replace(local, delivered=None), present(local.delivered)),
            "data": self._record,
        }

    def vocabulary(self) -> tuple[frozenset[str], frozenset[str]]:
        """The guards and the outputs that this machine can evaluate."""
        return frozenset(self._guards), frozenset(self._outputs)

    def initial(self, role: Role, party: Party[V]) -> Local[V]:
        """A connection that has not begun."""
        return Local(role, STATES[role][0], party)

    def step(
        self, local: Local[V], input_name: str, payload: V | None = None, resumption: Resumption[V] | None = None
    ) -> Outcome[V]:
        """One input. `payload` is the frame's payload, or for `send` the plaintext of one frame.

        `resumption` is that of the process that the connection runs in; its stores change in place, also in a step
        that fails. Without it the connection makes, holds and takes no tickets.

        Raises:
            Misuse: an application input without a row (SPEC.md 2.2).
        """
        role, state = local.role, local.state
        resumption = self._nothing if resumption is None else resumption
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
            after = self._guards[row.guard](local, payload, resumption)
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
            after, value = self._outputs[name](after, payload, resumption)
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

    # Guards: each gives the state that holds what it learnt, or raises Refused. The stores change even then.

    def _accept_client_init(self, local: Local[V], payload: V | None, resumption: Resumption[V]) -> Local[V]:
        """SPEC.md 5.4, in its order."""
        client_init = present(payload)
        party = local.party
        message = self.algebra.decode_client_init(client_init)
        cipher = choose(message.handshake_ciphers, party.handshake_ciphers, "NO_COMMON_HANDSHAKE_CIPHER")
        application = choose(
            message.application_protocols, party.application_protocols, "NO_COMMON_APPLICATION_PROTOCOL"
        )
        rpc = rpc_version_in_force(message.rpc_versions, party.rpc_versions)
        static: StaticKeys[V] | V
        owner = self._owner("server", party)
        resumed = modes.at_server(self.verifier, self.resumer, owner, resumption, message, cipher)
        if resumed is None:
            view = self.verifier.verify(message.certificate, party.trust, "client")
            if cipher not in view.handshake_ciphers:
                raise Refused("ILLEGAL_PARAMETER", "a cipher that the client's certificate does not list")
            static = StaticKeys(party.private_key, view.x25519_public_key)
            client = session_party(view, self.algebra.digest(message.certificate))
            session = Session(client, self._own(party), cipher, party.trust.now)
        else:
            static, session = resumed.secret, resumed.session
        boundaries = session.client.boundary, session.server.boundary
        allowed = [name for name in party.record_protocols if record_allowed(name, *boundaries)]
        record = choose(message.record_protocols, allowed, "NO_COMMON_RECORD_PROTOCOL")
        share = dict(message.key_shares).get(cipher)
        material = self.keying.at_server(CIPHERS[cipher], static, share, party.randomness)
        choices = Choices(cipher, record, application, rpc, min(message.max_frame_size, party.max_frame_size))
        mode = MODE_FULL if resumed is None else resumed.mode
        certificate = party.certificate if resumed is None else None
        agreed = Agreed(
            session.client.identity,
            session.server.identity,
            message.nonce,
            party.nonce,
            message.certificate,
            certificate,
            message.handshake_ciphers,
            message.record_protocols,
            message.application_protocols,
            choices,
            mode,
            None if resumed is None else resumed.secret,
        )
        server_init = self.algebra.encode(
            ServerInit(
                party.nonce,
                mode,
                certificate,
                cipher,
                record,
                application,
                party.rpc_versions,
                choices.max_frame_size,
                material.share,
                None if resumed is None else resumed.attached,
            )
        )
        after = replace(local, client_init=client_init, offered=message)
        return self._derive(after, server_init, agreed, session, material)

    def _accept_server_init(self, local: Local[V], payload: V | None, resumption: Resumption[V]) -> Local[V]:
        """SPEC.md 5.5, in its order."""
        server_init = present(payload)
        party, offered = local.party, present(local.offered)
        message = self.algebra.decode_server_init(server_init)
        allowed = {
            MODE_FULL: True,
            MODE_CLIENT_TICKET: local.held is not None,
            MODE_SERVER_TICKET: offered.resumption_id,
        }
        if (
            not allowed.get(message.mode)
            or (message.certificate is None) != (message.mode != MODE_FULL)
            or (message.ticket is None) != (message.mode != MODE_SERVER_TICKET)
        ):
            raise Refused("ILLEGAL_PARAMETER", "mode")
        if (
            message.handshake_cipher not in offered.handshake_ciphers
            or message.record_protocol not in offered.record_protocols
            or message.application_protocol not in offered.application_protocols
        ):
            raise Refused("ILLEGAL_PARAMETER", "a choice that was not offered")
        cipher = CIPHERS[message.handshake_cipher]
        if not self.algebra.share_fits(message.key_share, cipher.server_share):
            raise Refused("ILLEGAL_PARAMETER", "key_share")
        if message.max_frame_size > offered.max_frame_size:
            raise Refused("ILLEGAL_PARAMETER", "max_frame_size")
        rpc = rpc_version_in_force(offered.rpc_versions, message.rpc_versions)
        static: StaticKeys[V] | V
        if message.mode == MODE_FULL:
            certificate = present(message.certificate)
            view = self.verifier.verify(certificate, party.trust, "server")
            if cipher.name not in view.handshake_ciphers:
                raise Refused("ILLEGAL_PARAMETER", "a cipher that the server's certificate does not list")
            static = StaticKeys(party.private_key, view.x25519_public_key)
            server = session_party(view, self.algebra.digest(certificate))
            session = Session(self._own(party), server, cipher.name, party.trust.now)
        else:
            owner = self._owner("client", party)
            resumed = modes.at_client(self.resumer, owner, resumption, offered, local.held, message)
            static, session = resumed.secret, resumed.session
        if not record_allowed(message.record_protocol, session.client.boundary, session.server.boundary):
            raise Refused("INSUFFICIENT_PROTECTION")
        material = self.keying.at_client(cipher, static, message.key_share, offered.handshake_ciphers, party.randomness)
        agreed = Agreed(
            session.client.identity,
            session.server.identity,
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
            message.mode,
            None if isinstance(static, StaticKeys) else static,
        )
        return self._derive(local, server_init, agreed, session, material)

    def _derive(
        self,
        local: Local[V],
        server_init: V,
        agreed: Agreed[V],
        session: Session[V],
        material: Material[V],
    ) -> Local[V]:
        """All that follows from both Inits."""
        schedule = key_schedule(
            self.algebra, material.whole, present(local.client_init), server_init, agreed.client, agreed.server
        )
        return replace(
            local,
            server_init=server_init,
            agreed=agreed,
            session=session,
            schedule=schedule,
            notes=(*local.notes, *material.terms),
        )

    def _own(self, party: Party[V]) -> SessionParty[V]:
        return session_party(party.view, self.algebra.digest(party.certificate))

    def _owner(self, role: Role, party: Party[V]) -> Owner[V]:
        return Owner(role, party.view.identity, party.view.category, party.trust)

    def _finished_is_right(self, local: Local[V], payload: V | None, resumption: Resumption[V]) -> Local[V]:
        """SPEC.md 5.6. Client: ServerFinished. Server: ClientFinished."""
        sender = other_role(local.role)
        message = self.algebra.decode_finished(present(payload), sender)
        expected = self.finished(local, sender, message.ticket)
        if not self.authenticator_is_right(sender, expected, message):
            raise Refused("BAD_FINISHED")
        if not self.ticket_authenticator_is_right(sender, expected, message):
            raise Refused("BAD_TICKET_AUTHENTICATOR")
        server_ticket, client_ticket = local.tickets
        if message.ticket is None:
            return local
        if sender == "client" and resumption.active and not self.is_for_the_client(local, message.ticket):
            raise Refused("ILLEGAL_PARAMETER", "a ticket for another IDR than that of ClientInit")
        owner, session = self._owner(local.role, local.party), present(local.session)
        notes = self.resumer.keep(owner, resumption, message.ticket, present(local.schedule).R, session)
        tickets = (message.ticket, client_ticket) if sender == "server" else (server_ticket, message.ticket)
        return replace(local, tickets=tickets, notes=(*local.notes, *notes))

    def is_for_the_client(self, local: Local[V], ticket: IssuedTicket[V]) -> bool:
        """Whether a client's ticket is for the IDR of its ClientInit (SPEC.md 5.6)."""
        return ticket.resumption_id == present(local.offered).resumption_id

    def authenticator_is_right(self, sender: Role, expected: Finished[V], given: Finished[V]) -> bool:
        """Whether the first authenticator is the sender's (HS-7, HS-9)."""
        return self.algebra.equal(expected.authenticator, given.authenticator)

    def ticket_authenticator_is_right(self, sender: Role, expected: Finished[V], given: Finished[V]) -> bool:
        """Whether the second authenticator is the sender's (SPEC.md 7.6)."""
        return self.algebra.equal(expected.ticket_authenticator, given.ticket_authenticator)

    def _record_opens(self, local: Local[V], payload: V | None, _: Resumption[V]) -> Local[V]:
        if local.received >= FRAME_LIMIT:
            raise Refused("COUNTER_LIMIT")
        plaintext = self.algebra.open(
            present(local.schedule).M, other_role(local.role), local.received, present(payload)
        )
        if plaintext is None:
            raise Refused("BAD_RECORD")
        return replace(local, received=local.received + 1, delivered=plaintext)

    def _below_the_limit(self, local: Local[V], _payload: V | None, _: Resumption[V]) -> Local[V]:
        if local.sent >= FRAME_LIMIT:
            raise Refused("COUNTER_LIMIT")
        return local

    def _alert_is_well_formed(self, local: Local[V], payload: V | None, _: Resumption[V]) -> Local[V]:
        self.algebra.decode_alert(present(payload))
        return local

    # Outputs: each gives the state after it and the payload to send.

    def _client_init(self, local: Local[V], _: V | None, resumption: Resumption[V]) -> tuple[Local[V], V]:
        """A client that can make no ticket, or may use none, says nothing of tickets (SPEC.md 12.1)."""
        party, keys = local.party, resumption.keys
        resumable = any(CIPHERS[name].resumable for name in party.handshake_ciphers)
        held = self.resumer.present(self._owner("client", party), resumption, party.handshake_ciphers)
        message = ClientInit(
            party.nonce,
            party.certificate,
            party.handshake_ciphers,
            party.record_protocols,
            self.keying.client_shares(party.handshake_ciphers, party.randomness),
            party.application_protocols,
            party.rpc_versions,
            party.max_frame_size,
            keys.resumption_id if keys is not None and resumable else b"",
            keys.epochs if keys is not None and resumable else (),
            None if held is None else modes.presented(held),
        )
        payload = self.algebra.encode(message)
        return replace(local, offered=message, client_init=payload, held=held), payload

    def _server_init(self, local: Local[V], _: V | None, resumption: Resumption[V]) -> tuple[Local[V], V]:
        return local, present(local.server_init)

    def _send_finished(self, local: Local[V], _: V | None, resumption: Resumption[V]) -> tuple[Local[V], V]:
        """Our Finished, with a ticket if we make one (SPEC.md 12.4)."""
        role, party = local.role, local.party
        salt = next(iter(party.randomness.ticket_salts), None)
        made = self.resumer.make(
            self._owner(role, party), resumption, present(local.schedule).R, present(local.session), salt
        )
        ticket, notes = (None, ()) if made is None else made
        server_ticket, client_ticket = local.tickets
        tickets = (server_ticket, ticket) if role == "client" else (ticket, client_ticket)
        after = replace(local, tickets=tickets, notes=(*local.notes, *notes))
        return after, self.algebra.encode(self.finished(local, role, ticket))

    def finished(self, local: Local[V], sender: Role, ticket: IssuedTicket[V] | None) -> Finished[V]:
        """The Finished message that `sender` sends in this handshake with `ticket` (SPEC.md 7.5, 7.6)."""
        A = present(local.schedule).A
        return Finished(
            self.algebra.authenticator(A, FINISHED_LABELS[sender]),
            self.algebra.ticket_authenticator(A, TICKET_LABELS[sender], ticket),
            ticket,
        )

    def _record(self, local: Local[V], plaintext: V | None, _: Resumption[V]) -> tuple[Local[V], V]:
        M = present(local.schedule).M
        payload = self.algebra.seal(M, local.role, local.sent, present(plaintext))
        return replace(local, sent=local.sent + 1), payload
