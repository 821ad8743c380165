"""The handshake: a walk through the transition table, one method a row (SPEC 2, 5.4 to 5.6, 6; HS-2 to HS-9).

Sans-IO: bytes come in by `receive_data`, bytes for the peer go out by `data_to_send`, and `result` or `error` ends it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from alts_schema import handshake_pb2 as messages

from ._errors import FIRST_LOCAL_CODE, ErrorCode, PeerViolation, UsageError
from ._events import Evidence, HandshakeResult, Negotiated
from ._key_schedule import (
    ClientShare,
    Secrets,
    client_key_material,
    derive_secrets,
    finished_authenticator,
    keyed,
    make_client_share,
    same,
    server_key_material,
    ticket_authenticator,
    transcript_hash,
)
from ._messages import (
    FRAME_TYPES,
    NONCE_SIZE,
    RECORD_PROTOCOLS,
    SHARE_SIZES,
    answer_fields,
    decode_alert,
    decode_client_init,
    decode_finished,
    decode_server_init,
    encode_client_init,
    encode_finished,
    encode_frame,
    encode_server_init,
    read_handshake_frame,
    remember_client_init,
    remember_server_init,
)
from ._resumption import Resumer
from ._table import STATES, TABLE, Input, Role, State
from ._trust import remember_certificate, verify_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._config import Configuration, Environment, RpcVersion
    from ._contents import Answer, Offer, RpcVersions, Ticket
    from ._events import Mode
    from ._key_schedule import Mac
    from ._tickets import HeldTicket, Line, Session
    from ._trust import Certificate, Peer

ENCRYPTING_RECORD_PROTOCOLS = frozenset(RECORD_PROTOCOLS)
"""Those that may be used between different boundaries (SPEC 6.2, REC-7)."""

_NONE: Mapping[str, ClientShare] = MappingProxyType({})
_MODES: dict[Mode, messages.Mode] = {
    "full": messages.FULL,
    "client_ticket": messages.CLIENT_TICKET,
    "server_ticket": messages.SERVER_TICKET,
}
_MODE_NAMES: dict[int, Mode] = {number: name for name, number in _MODES.items()}


def choose(offered: Sequence[str], allowed: Sequence[str], code: ErrorCode) -> str:
    """Return the first of the client's names that the server allows (SPEC 6.1; HS-4, REC-1)."""
    for name in offered:
        if name in allowed:
            return name
    raise PeerViolation(code, f"none of {list(offered)} is allowed")


def common_rpc_version(own: RpcVersions, peer: RpcVersions) -> RpcVersion:
    """Return the RPC version in force (SPEC 6.3)."""
    if own[0] > peer[1] or peer[0] > own[1]:  # neither range is empty
        raise PeerViolation(ErrorCode.NO_COMMON_RPC_VERSION, f"peer speaks {peer[0]} to {peer[1]}")
    return min(own[1], peer[1])


def _illegal(field: str) -> NoReturn:
    raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, f"{field} of ServerInit")


class Handshake:
    """One side of one handshake.

    Args:
        role: CLIENT sends ClientInit on `start`; SERVER waits for it.
        configuration: credential, trust and what is allowed.
        environment: clock and randomness.

    Attributes:
        state: of SPEC 2.1; OPEN when done, FAILED when `error` is set.
        result: set in OPEN.
        error: set in FAILED.
    """

    result: HandshakeResult | None = None
    error: PeerViolation | None = None
    _outgoing = b""
    _client_init = b""
    _shares: Mapping[str, ClientShare] = _NONE
    _resumer: Resumer | None = None
    _secrets: Secrets | None = None
    _mac: Mac | None = None
    _negotiated: Negotiated | None = None
    _line: Line | None = None  # of the session that a ticket would resume
    _peer_certificate = b""
    _certificate: Certificate | None = None  # of the peer, parsed
    _transcript_hash = b""
    _heard: tuple[bytes, Offer, Ticket | None] | tuple[bytes, Answer] | None = None
    """The peer's Init message and what it says; its syntax is remembered once the peer is authenticated."""

    def __init__(self, role: Role, configuration: Configuration, environment: Environment) -> None:
        self.role = role
        self.state = STATES[role][0]
        self._configuration = configuration
        self._environment = environment
        self._incoming = bytearray()
        resumption = configuration.resumption
        if resumption is not None:
            self._resumer = Resumer(role, configuration, resumption)

    # -- what the caller does ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Queue ClientInit (HS-3).

        Raises:
            UsageError: not a client in START.
        """
        row = TABLE.get((self.role, self.state, Input.START))
        if row is None:
            raise UsageError(f"start() in state {self.state} of a {self.role}")
        own = self._configuration
        nonce = self._environment.random(NONCE_SIZE)
        public: dict[str, bytes] = {}
        if own.share_ciphers:
            shares = {cipher: make_client_share(cipher, self._environment.random) for cipher in own.share_ciphers}
            public = {cipher: share.public for cipher, share in shares.items()}
            self._shares = shares
        named, ticket = (b"", None) if self._resumer is None else self._resumer.offer(self._now())
        payload = encode_client_init(own.client_init, nonce, public, named, ticket)
        self._client_init = payload
        self._outgoing += encode_frame(Input.CLIENT_INIT, payload)
        self.state = row.next_state

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the peer, cut in any way, and go as far as they lead; bytes after the last frame are kept.

        What a peer sends raises nothing; what a hook of the configuration or environment raises passes through, and the
        handshake is FAILED with INTERNAL_ERROR.
        """
        if self.state in _LAST:
            return
        incoming = self._incoming
        incoming += data
        try:
            while incoming and (rows := _ROWS[self.state][self.role]) is not None:
                frame = read_handshake_frame(incoming, rows)
                if frame is None:
                    return
                number, payload, size = frame
                del incoming[:size]
                handle, next_state = rows[number]
                handle(self, payload)
                self.state = next_state
        except PeerViolation as violation:
            self.fail(violation)
        except BaseException:  # a hook of the caller failed: this handshake cannot go on, and the caller hears why
            self.fail(PeerViolation(ErrorCode.INTERNAL_ERROR, "this endpoint failed by its own fault"))
            raise

    def receive_end(self) -> None:
        """The peer's stream ended before the handshake was complete (SPEC 3.5)."""
        if self.state not in (State.OPEN, State.CLOSED, State.FAILED):
            self.fail(PeerViolation(ErrorCode.TRUNCATED, "the peer ended its stream in the handshake"))

    def expire(self) -> None:
        """The time for the handshake is over (SPEC 11.2)."""
        if self.state not in (State.OPEN, State.CLOSED, State.FAILED):
            self.fail(PeerViolation(ErrorCode.HANDSHAKE_TIMEOUT, "the handshake took too long"))

    def close(self) -> None:
        """Give up, or be done with it, without a word to the peer; `result` is dropped (SPEC 7.7)."""
        if self.state not in (State.CLOSED, State.FAILED):
            self.state = State.CLOSED
            self.result = None
            self._drop()

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes for the peer."""
        data, self._outgoing = self._outgoing, b""
        return data

    def take_trailing(self) -> bytes:
        """Return, and forget, bytes that came after the last handshake frame; they belong to the record protocol."""
        if not self._incoming:
            return b""
        data = bytes(self._incoming)
        self._incoming.clear()
        return data

    def fail(self, violation: PeerViolation, *, silently: bool = False) -> None:
        """Enter FAILED because of `violation`, queueing an alert if its code may be sent (SPEC 2.3)."""
        violation.state = self.state
        violation.__traceback__ = violation.__context__ = None  # its frames hold secrets
        if violation.code < FIRST_LOCAL_CODE and not silently:
            alert = messages.Alert(code=violation.code).SerializeToString(deterministic=True)
            self._outgoing += encode_frame(Input.ALERT, alert)
        self.error = violation
        self.state = State.FAILED
        self._drop()

    # -- one method a row of the table ------------------------------------------------------------------------------

    def _on_client_init(self, payload: bytes) -> None:
        """Server, WAIT_CLIENT_INIT: SPEC 5.4; cheap checks before signatures and Diffie–Hellman."""
        own, now = self._configuration, self._now()
        offer, ticket = decode_client_init(payload)
        self._heard = payload, offer, ticket
        cipher = choose(offer.handshake_ciphers, own.handshake_ciphers, ErrorCode.NO_COMMON_HANDSHAKE_CIPHER)
        application = choose(
            offer.application_protocols, own.application_protocols, ErrorCode.NO_COMMON_APPLICATION_PROTOCOL
        )
        rpc_version = common_rpc_version(own.rpc_versions, offer.rpc_versions)
        mode: Mode = "full"
        session: Session | None = None
        attached: HeldTicket | None = None
        if self._resumer is not None:
            mode, session, attached = self._resumer.at_server(offer, ticket, cipher, now)
            self._certificate = self._resumer.presented
        peer, static = self._meet(session, offer.certificate, Role.CLIENT, cipher, now)
        allowed = [name for name in own.record_protocols if self._is_allowed(name, peer)]
        record = choose(offer.record_protocols, allowed, ErrorCode.NO_COMMON_RECORD_PROTOCOL)
        frame_size = min(offer.max_frame_size, own.max_frame_size)
        self._negotiated = Negotiated(cipher, record, application, rpc_version, offer.rpc_versions, frame_size, mode)
        random = self._environment.random
        nonce = random(NONCE_SIZE)
        key_material, share = server_key_material(
            cipher,
            session.secret if session else None,
            own.credential.private_key,
            static,
            offer.key_shares.get(cipher, b""),
            random,
            self._environment.encapsulate,
        )
        certificate = b"" if session else own.credential.certificate
        presented = attached.presented if attached else None
        fields = answer_fields(cipher, record, application, own.rpc_versions, frame_size)
        server_init = encode_server_init(nonce, _MODES[mode], certificate, fields, share, presented)
        self._derive(key_material, payload, server_init)
        first = encode_frame(Input.SERVER_INIT, server_init)
        self._outgoing += first + encode_frame(Input.SERVER_FINISHED, self._finished(now))

    def _on_server_init(self, payload: bytes) -> None:
        """Client, WAIT_SERVER_INIT: SPEC 5.5."""
        own, now = self._configuration, self._now()
        answer = decode_server_init(payload)
        self._heard = payload, answer
        number, certificate, cipher, record, application, rpc_versions, frame_size, share, ticket = answer
        mode = _MODE_NAMES.get(number)
        if mode is None or (mode != "full" and self._resumer is None):
            _illegal("mode")
        if bool(certificate) != (mode == "full"):
            _illegal("certificate")
        if (ticket is not None) != (mode == "server_ticket"):
            _illegal("ticket")
        if cipher not in own.handshake_ciphers:
            _illegal("handshake_cipher")
        if record not in own.record_protocols:
            _illegal("record_protocol")
        if application not in own.application_protocols:
            _illegal("application_protocol")
        if len(share) != SHARE_SIZES[cipher][1]:
            _illegal("key_share")
        if frame_size > own.max_frame_size:
            _illegal("max_frame_size")
        rpc_version = common_rpc_version(own.rpc_versions, rpc_versions)
        session: Session | None = None
        if mode != "full" and self._resumer is not None:
            session = self._resumer.at_client(answer, mode, now)
        peer, static = self._meet(session, certificate, Role.SERVER, cipher, now)
        if not self._is_allowed(record, peer):
            raise PeerViolation(ErrorCode.INSUFFICIENT_PROTECTION, f"{record} between boundaries")
        self._negotiated = Negotiated(cipher, record, application, rpc_version, rpc_versions, frame_size, mode)
        key_material = client_key_material(
            cipher,
            session.secret if session else None,
            own.credential.private_key,
            static,
            self._shares.get(cipher),
            share,
        )
        self._derive(key_material, self._client_init, payload)

    def _on_finished(self, payload: bytes) -> None:
        """Both roles: SPEC 5.6. The client answers with ClientFinished; then either is done (HS-8, HS-9)."""
        client, resumer = self.role is Role.CLIENT, self._resumer
        sender = Role.SERVER if client else Role.CLIENT
        kind = messages.ServerFinished if client else messages.ClientFinished
        received, ticket_received, ticket = decode_finished(kind, payload)
        mac, secrets, line, negotiated, heard = self._mac, self._secrets, self._line, self._negotiated, self._heard
        assert mac is not None, "rows come in order"
        assert heard is not None
        assert secrets is not None
        assert line is not None
        assert negotiated is not None
        if not same(received, finished_authenticator(mac, sender)):
            raise PeerViolation(ErrorCode.BAD_FINISHED, "authenticator is wrong")
        if not same(ticket_received, ticket_authenticator(mac, sender, ticket)):
            raise PeerViolation(ErrorCode.BAD_TICKET_AUTHENTICATOR, "ticket authenticator is wrong")
        if ticket is not None and resumer is not None:
            resumer.check(ticket)
        now = self._now() if client or ticket is not None else 0  # a clock that fails does so before anything is sent
        if client:
            self._outgoing += encode_frame(Input.CLIENT_FINISHED, self._finished(now))
        if ticket is not None and resumer is not None:
            resumer.keep(ticket, line, secrets.resumption, now)
        own = self._configuration.credential
        if len(heard) == 3:
            remember_client_init(*heard)
        else:
            remember_server_init(*heard)
        if self._certificate is not None:
            remember_certificate(self._certificate)
        evidence = Evidence(self._transcript_hash, self._peer_certificate, own.digest)
        self.result = HandshakeResult(self.role, line[0], own.identity, negotiated, evidence, secrets.record)
        self._drop()

    def _on_alert(self, payload: bytes) -> None:
        """Either role, any WAIT state: the peer gave up (SPEC 5.8); an alert is not answered, whatever is in it."""
        try:
            code = decode_alert(payload)
        except PeerViolation as violation:
            self.fail(violation, silently=True)
            return
        name = ErrorCode(code).name if code in ErrorCode.__members__.values() else "unknown"
        raise PeerViolation(ErrorCode.PEER_ALERT, f"the peer sent alert {code} ({name})", alert_code=code)

    # -- shared by the rows -----------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._environment.clock())

    def _meet(self, session: Session | None, raw: bytes, role: Role, cipher: str, now: int) -> tuple[Peer, bytes]:
        """Return the peer and its static key, and remember what a ticket of this session would say.

        A resumed session has its peer from the ticket, and needs no key. In mode FULL the certificate is verified (SPEC
        4.9), and that it lists the handshake cipher in use (CRED-2).
        """
        if session is not None:
            self._line = session.peer, session.own, cipher, now, session.full_handshake
            return session.peer, b""
        own = self._configuration
        parsed_or_raw = self._certificate or raw
        certificate = verify_certificate(parsed_or_raw, own.trust, now, role=role, targets=own.target_identities)
        if cipher not in certificate.handshake_ciphers:
            raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, f"{cipher} is not in the peer's certificate")
        peer = certificate.owner
        self._certificate, self._peer_certificate = certificate, raw
        self._line = peer, own.credential.peer, cipher, now, now
        return peer, certificate.static_key

    def _is_allowed(self, record_protocol: str, peer: Peer) -> bool:
        """Tell whether the boundaries of both certificates allow `record_protocol` (SPEC 6.2; REC-7)."""
        if record_protocol in ENCRYPTING_RECORD_PROTOCOLS:
            return True
        return self._configuration.credential.peer.boundary == peer.boundary != ""

    def _derive(self, key_material: bytes, client_init: bytes, server_init: bytes) -> None:
        """Run the key schedule (SPEC 7; HS-5)."""
        assert self._line is not None  # the peer is known
        own, peer = self._configuration.credential.identity, self._line[0].identity
        th = self._transcript_hash = transcript_hash(client_init, server_init)
        client, server = (own, peer) if self.role is Role.CLIENT else (peer, own)
        secrets = self._secrets = derive_secrets(key_material, th, client, server)
        self._mac = keyed(secrets.authenticator)
        self._shares = _NONE
        if self._environment.key_log is not None:
            self._environment.key_log(th, secrets)

    def _finished(self, now: int) -> bytes:
        """Return the own Finished message, with a ticket where one is made."""
        role, mac, ticket = self.role, self._mac, None
        assert mac is not None, "rows come in order"
        if self._resumer is not None:
            assert self._line is not None
            assert self._secrets is not None
            ticket = self._resumer.issue(self._line, self._secrets.resumption, self._environment.random, now)
        return encode_finished(finished_authenticator(mac, role), ticket_authenticator(mac, role, ticket), ticket)

    def _drop(self) -> None:
        """Forget every secret but those in `result` (SPEC 7.7)."""
        self._secrets = self._mac = self._line = self._resumer = self._heard = self._certificate = None
        self._shares = _NONE
        self._client_init = b""
        if self.state in _LAST:
            self._incoming.clear()


_HANDLERS: dict[Input, Callable[[Handshake, bytes], None]] = {
    Input.CLIENT_INIT: Handshake._on_client_init,
    Input.SERVER_INIT: Handshake._on_server_init,
    Input.SERVER_FINISHED: Handshake._on_finished,
    Input.CLIENT_FINISHED: Handshake._on_finished,
    Input.ALERT: Handshake._on_alert,
}
"""What handles the message of each wire input that has a row before OPEN."""

_LAST = frozenset({State.CLOSED, State.FAILED})
_BEFORE_OPEN = frozenset(State) - _LAST - {State.OPEN}
_ROWS = {
    state: {
        role: {
            FRAME_TYPES[symbol]: (handle, TABLE[role, state, symbol].next_state)
            for symbol, handle in _HANDLERS.items()
            if (role, state, symbol) in TABLE
        }
        if state in _BEFORE_OPEN
        else None
        for role in Role
    }
    for state in State
}
"""The table's rows for messages, by state, role and frame type: what handles the message, and the next state."""
