"""The mutants of resumption: what a ticket binds, what a resumed session checks, and what excuses a thief's success."""

from __future__ import annotations

from typing import Final

from alts_proofs.mutate import Edit, Mutant

_CLIENT_SIDE: Final = "client-side"
_SERVER_SIDE: Final = "server-side"
_ROLES: Final = {_CLIENT_SIDE: "brief/client_side.pvl", _SERVER_SIDE: "brief/server_side.pvl"}
_FINISH: Final = "brief/resumed_finish.pvl"
_TICKETS: Final = "brief/tickets.pvl"
_KEYS: Final = "checks/key_identities.pvl"
_NO_STRANGERS: Final = (("corruption/strangers.pvl", "corruption/no_strangers.pvl"),)
"""The attacker has no certificate: for whatever is wrong without."""

_CLIENT_COMPARES: Final = "if mac = hmac(a, serverFinishedText()) then"
_SERVER_COMPARES: Final = "if mac = hmac(a, clientFinishedText()) then"
_ONE_STRING: Final = (
    "checks/finished_role.pvl",
    "clientFinishedText() = clientFinishedString",
    "clientFinishedText() = serverFinishedString",
)
_SEALED: Final = (
    "aeadSeal(ticketKey(resumptionKey, salt), zeroAeadNonce, associatedData(role, maker), ticketContents(held, peer))"
)
_OPENED: Final = "aeadOpen(ticketKey(resumptionKey, salt), zeroAeadNonce, associatedData(role, maker), box)"


def _mutant(
    side: str,
    name: str,
    about: str,
    file: str,
    query: str,
    *edits: tuple[str, str, str],
    swap: tuple[tuple[str, str], ...] = _NO_STRANGERS,
) -> Mutant:
    """`file` and `query` without the side that they begin with."""
    script = f"{side.replace('-', '_')}_{file}.pv"
    return Mutant(f"{side}-{name}", about, script, tuple(Edit(*edit) for edit in edits), (f"{side}/{query}",), swap)


def _agreement(side: str, name: str, about: str, end: str, *edits: tuple[str, str, str]) -> Mutant:
    return _mutant(side, name, about, "agreement", f"agreement-{end}", *edits)


def _step(side: str, name: str, about: str, query: str, *edits: tuple[str, str, str]) -> Mutant:
    """With forward secrecy: the step from an ideal secret to the session that it opens."""
    file = "ideal_tickets" if query.startswith("ticket") else "ideal_agreement"
    return _mutant(side, f"pfs-{name}", about, file, f"ideal/{query}", *edits, swap=())


def _material(file: str, whole: str, without: str) -> tuple[tuple[str, str, str], ...]:
    """The key material of both ends of a resumed session."""
    head = "ResumedKeyMaterial(held: bitstring, ephemeral: Scalar, peerShare: Point) = "
    return tuple((file, f"{end}{head}{whole}.", f"{end}{head}{without}.") for end in ("client", "server"))


def _both(name: str, about: str, end: str, *edits: tuple[str, str, str]) -> tuple[Mutant, ...]:
    return tuple(_agreement(side, name, about, end, *edits) for side in _ROLES)


def _both_steps(name: str, about: str, end: str, *edits: tuple[str, str, str]) -> tuple[Mutant, ...]:
    return tuple(_step(side, name, about, f"agreement-{end}", *edits) for side in _ROLES)


_CHECKS: Final = (
    (
        "client-checks-no-finished",
        "The client does not compare the authenticator of ServerFinished",
        "client",
        (_FINISH, _CLIENT_COMPARES, "if mac = mac then"),
    ),
    (
        "server-checks-no-finished",
        "The server does not compare the authenticator of ClientFinished",
        "server",
        (_FINISH, _SERVER_COMPARES, "if mac = mac then"),
    ),
    ("finished-without-role", "Client and server authenticate the same string", "server", _ONE_STRING),
    (
        "keys-without-transcript",
        "The key derivation leaves the transcript out",
        "client",
        (_KEYS, "(transcript, client, server)", "(client, server)"),
    ),
)

SESSIONS: Final = (
    *(mutant for check in _CHECKS for mutant in _both(*check)),
    *(mutant for check in _CHECKS for mutant in _both_steps(*check)),
    _agreement(
        _CLIENT_SIDE,
        "server-nonce-constant",
        "The nonce of the server, which takes a ticket any number of times, is a constant",
        "server",
        (
            _ROLES[_CLIENT_SIDE],
            "let resumedServerNonce = handshakeNonce() in",
            "let resumedServerNonce = transcriptContext in",
        ),
    ),
    _agreement(
        _SERVER_SIDE,
        "client-nonce-constant",
        "The nonce of the client, which takes a ticket any number of times, is a constant",
        "client",
        (
            _ROLES[_SERVER_SIDE],
            "let resumedClientNonce = handshakeNonce() in",
            "let resumedClientNonce = transcriptContext in",
        ),
    ),
    _agreement(
        _CLIENT_SIDE,
        "keys-without-ticket",
        "The secret of the ticket is left out of the key material",
        "client",
        *_material("brief/cipher_static.pvl", "held", "extractSalt"),
    ),
    *(
        _step(
            side,
            "keys-without-ticket",
            "The key material of the resumed session is the ephemeral secret alone",
            "agreement-client",
            *_material(
                "brief/cipher_pfs.pvl",
                "(held, x25519(ephemeral, peerShare))",
                "(extractSalt, x25519(ephemeral, peerShare))",
            ),
        )
        for side in _ROLES
    ),
)

_ANY_HOLDER: Final = (
    (_ROLES[_CLIENT_SIDE], "let ticketContents(held, client) =", "let ticketContents(held, whoever) ="),
    (_ROLES[_CLIENT_SIDE], "if claimIs(claimed, client) then", "let client = claimed in"),
)
_ANY_PEER: Final = (
    _ROLES[_SERVER_SIDE],
    "let ticketContents(held, =target) =",
    "let ticketContents(held, whoever) =",
)

TICKETS: Final = (
    *(
        Mutant(
            f"{side}-ticket-key-known",
            "The key of a ticket is derived from its salt alone",
            f"{side.replace('-', '_')}_agreement.pv",
            (Edit(_TICKETS, "keyBytes(resumptionKey)", "salt"),),
            (f"{side}/agreement-{end}",),
            _NO_STRANGERS,
        )
        for side, end in ((_CLIENT_SIDE, "server"), (_SERVER_SIDE, "client"))
    ),
    _mutant(
        _CLIENT_SIDE,
        "ticket-in-clear",
        "A ticket carries its secret beside the ciphertext",
        "secrecy",
        "secrecy-payload-client-to-server",
        (_TICKETS, _SEALED, f"({_SEALED}, held)"),
        (
            _TICKETS,
            _OPENED,
            "let (sealed: bitstring, open: bitstring) = box in " + _OPENED.replace("box", "sealed"),
        ),
    ),
    _mutant(
        _CLIENT_SIDE,
        "identity-from-certificate",
        "The server takes the client's identity from the unverified certificate, not from the ticket",
        "agreement",
        "agreement-server",
        *_ANY_HOLDER,
        swap=(),
    ),
    _mutant(
        _SERVER_SIDE,
        "ticket-of-anybody",
        "The client takes its own ticket from whoever holds it, not from its target alone",
        "agreement",
        "agreement-client",
        _ANY_PEER,
        swap=(),
    ),
    _step(
        _CLIENT_SIDE,
        "identity-from-certificate",
        "The server takes the client's identity from the unverified certificate, not from the ticket",
        "agreement-server",
        *_ANY_HOLDER,
    ),
    _step(
        _SERVER_SIDE,
        "ticket-of-anybody",
        "The client takes its own ticket from whoever holds it, not from its target alone",
        "agreement-client",
        _ANY_PEER,
    ),
    _mutant(
        _CLIENT_SIDE,
        "ticket-holds-m",
        "The secret of a ticket is M of the session in which it is made",
        "first_payload_later",
        "resumption-keys-leak-later/first-client-to-server",
        (
            "brief/finish_server_ticket.pvl",
            "certificate, serverMadeSecret(r), ticket)",
            "certificate, keyBytes(m), ticket)",
        ),
        ("brief/finish_server_ticket.pvl", "client, serverMadeSecret(r)) in", "client, keyBytes(m)) in"),
    ),
    _mutant(
        _SERVER_SIDE,
        "ticket-holds-m",
        "The secret of a ticket is M of the session in which it is made",
        "first_payload_later",
        "resumption-keys-leak-later/first-client-to-server",
        ("brief/finish_client_ticket.pvl", "client, clientMadeSecret(r), ticket)", "client, keyBytes(m), ticket)"),
        ("brief/finish_client_ticket.pvl", "server, clientMadeSecret(r)) in", "server, keyBytes(m)) in"),
    ),
    _step(
        _CLIENT_SIDE,
        "client-checks-no-ticket-mac",
        "The client takes a new ticket without its authenticator",
        "ticket-of-server",
        (
            "brief/resumed_tickets_of_server.pvl",
            " && ticketMacHolds(a, serverTicketText(), ticket, macOfTicket)",
            "",
        ),
    ),
    _step(
        _SERVER_SIDE,
        "server-checks-no-ticket-mac",
        "The server takes a new ticket without its authenticator",
        "ticket-of-client",
        (
            "brief/resumed_tickets_of_client.pvl",
            " && ticketMacHolds(a, clientTicketText(), ticket, macOfTicket)",
            "",
        ),
    ),
)


def _reflected(check: str, about: str, old: str, new: str) -> Mutant:
    """Of six checks against a ticket that comes back to its maker one is left; that one goes, too."""
    name = check.replace("_", "-")
    return Mutant(
        f"reflected-ticket-without-{name}",
        f"With five checks against a reflected ticket gone: {about}",
        f"twins/reflected_ticket_only_{check}.pv",
        (Edit(f"checks/{check}.pvl", old, new),),
        (f"twins/reflected-ticket-only-{name}/server",),
    )


REFLECTED: Final = (
    _reflected(
        "ticket_role",
        "tickets of both roles have the same associated data",
        "clientMaker() = clientRoleName",
        "clientMaker() = serverRoleName",
    ),
    _reflected("ticket_identity", "the claimed identity is not compared", "(claimed = known)", "(claimed = claimed)"),
    _reflected(
        "ticket_secrets",
        "both makers' tickets hold the same secret",
        "hmac(r, clientMadeTicket)",
        "hmac(r, serverMadeTicket)",
    ),
    _reflected("ticket_idr", "resumption IDs are not compared", "(own = idr)", "(own = own)"),
    _reflected(
        "ticket_mac",
        "the authenticator of the ticket is not compared",
        "(mac = hmac(a, (label, ticket)))",
        "(mac = mac)",
    ),
    _reflected(
        "key_identities",
        "the key derivation binds no identities",
        "(transcript, client, server)",
        "(transcript, transcript)",
    ),
)

ONE_USE: Final = tuple(
    Mutant(
        f"{side}-ticket-used-again",
        "With the nonce of the holder gone: it uses its ticket any number of times",
        f"twins/{file}_no_holder_nonce.pv",
        (Edit(f"brief/{file}_sessions.pvl", f"  {holds}", f"  !{holds}"),),
        (f"twins/{side}-no-holder-nonce/agreement-{end}",),
    )
    for side, file, end, holds in (
        (_CLIENT_SIDE, "client_side", "client", "HoldingClient(self, server, certificate, held, ticket)"),
        (_SERVER_SIDE, "server_side", "server", "HoldingServer(self, client, held, ticket)"),
    )
)

_UNNOTICED: Final = ("corruption/resumption_keys_stolen.pvl", "  event ResumptionKeyStolen(self);\n", "")
GUARDS: Final = tuple(
    _mutant(
        side,
        "stolen-resumption-key-unnoticed",
        "A peer's stolen resumption key is no excuse",
        "resumption_key_theft",
        f"resumption-key-theft/{end}-not-fooled",
        _UNNOTICED,
    )
    for side, end in ((_CLIENT_SIDE, "client"), (_SERVER_SIDE, "server"))
)

RESUMED: Final = (*SESSIONS, *TICKETS, *REFLECTED, *ONE_USE, *GUARDS)
