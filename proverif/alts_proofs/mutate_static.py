"""The mutants of the static handshake."""

from __future__ import annotations

from typing import Final

from alts_proofs.mutate import Edit, Mutant
from alts_proofs.mutate_chains import OMISSIONS, POLICY

_QUIET: Final = (
    ("variants/tickets.pvl", "variants/no_tickets.pvl"),
    ("corruption/credentials.pvl", "corruption/nobody.pvl"),
)
"""Nobody makes a ticket or loses a credential: for whatever is wrong without either."""
_NO_TICKETS: Final = (("variants/tickets.pvl", "variants/no_tickets.pvl"),)
_NOBODY: Final = (("corruption/credentials.pvl", "corruption/nobody.pvl"),)

_AGREEMENT: Final = "static_agreement.pv"
_CREDENTIALS: Final = "static_credentials.pv"
_ROLES: Final = "lib/roles.pvl"
_CORRUPTION: Final = "corruption/credentials.pvl"


def _static(
    name: str,
    about: str,
    query: str,
    *edits: tuple[str, str, str],
    script: str = _AGREEMENT,
    swap: tuple[tuple[str, str], ...] = _QUIET,
) -> Mutant:
    return Mutant(name, about, script, tuple(Edit(*edit) for edit in edits), (f"static/{query}",), swap)


_CLIENT_TICKET: Final = "ticketMacHolds(a, serverTicketText(), ticket, macOfTicket)"
_SERVER_TICKET: Final = "ticketMacHolds(a, clientTicketText(), ticket, macOfTicket)"
_CLIENT_CHECKS: Final = f"mac = hmac(a, serverFinishedText()) && {_CLIENT_TICKET}"
_SERVER_CHECKS: Final = f"mac = hmac(a, clientFinishedText()) && {_SERVER_TICKET}"
_BARE_TRANSCRIPT: Final = (
    *_NO_TICKETS,
    ("checks/transcript.pvl", "weakened/transcript_without_certificates.pvl"),
)

HANDSHAKE: Final = (
    _static(
        "client-checks-no-finished",
        "The client compares neither authenticator of ServerFinished",
        "agreement-client",
        (_ROLES, _CLIENT_CHECKS, "true"),
    ),
    _static(
        "server-checks-no-finished",
        "The server compares neither authenticator of ClientFinished",
        "agreement-server",
        (_ROLES, _SERVER_CHECKS, "true"),
    ),
    _static(
        "transcript-without-client-init",
        "ClientInit is not in the transcript",
        "no-downgrade",
        ("checks/transcript.pvl", "(transcriptContext, init, answer)", "(transcriptContext, answer)"),
    ),
    _static(
        "transcript-without-server-init",
        "ServerInit is not in the transcript",
        "agreement-client",
        ("checks/transcript.pvl", "(transcriptContext, init, answer)", "(transcriptContext, init)"),
    ),
    _static(
        "keys-without-transcript",
        "The key derivation leaves the transcript out",
        "agreement-server",
        ("checks/key_identities.pvl", "(transcript, client, server)", "(client, server)"),
    ),
    _static(
        "client-nonce-constant",
        "The client's nonce is a constant",
        "agreement-client",
        (_ROLES, "let clientNonce = handshakeNonce() in", "let clientNonce = transcriptContext in"),
    ),
    _static(
        "server-nonce-constant",
        "The server's nonce is a constant",
        "agreement-server",
        (_ROLES, "let serverNonce = handshakeNonce() in", "let serverNonce = transcriptContext in"),
    ),
    _static(
        "keys-without-server-identity",
        "With the certificates out of the transcript, the key derivation binds the client's identity alone",
        "unknown-key-share",
        ("checks/key_identities.pvl", "(transcript, client, server)", "(transcript, client, client)"),
        swap=_BARE_TRANSCRIPT,
    ),
    _static(
        "keys-without-client-identity",
        "With the certificates out of the transcript, the key derivation binds the server's identity alone",
        "unknown-key-share",
        ("checks/key_identities.pvl", "(transcript, client, server)", "(transcript, server, server)"),
        swap=_BARE_TRANSCRIPT,
    ),
    _static(
        "finished-without-role",
        "Client and server authenticate the same strings",
        "self-talk-server",
        (
            "checks/finished_role.pvl",
            "clientFinishedText() = clientFinishedString",
            "clientFinishedText() = serverFinishedString",
        ),
        (
            "checks/finished_role.pvl",
            "clientTicketText() = clientTicketString",
            "clientTicketText() = serverTicketString",
        ),
    ),
    _static(
        "server-takes-the-last-offer",
        "The server takes the client's second choice though it allows the first",
        "no-downgrade",
        ("lib/messages.pvl", "firstAllowed(prefer(p, q), allowsAll) = p", "firstAllowed(prefer(p, q), allowsAll) = q"),
    ),
    _static(
        "client-ignores-the-target",
        "The client completes with whoever answers",
        "agreement-client",
        (_ROLES, "mayServe(category) && isTarget(target, server)", "mayServe(category)"),
    ),
    _static(
        "no-shared-secret",
        "The Diffie-Hellman result is left out of the key material",
        "secrecy-payload-client-to-server",
        ("lib/key_schedule.pvl", "hkdfExtract(extractSalt, keyMaterial)", "hkdfExtract(extractSalt, extractSalt)"),
        script="static_secrecy.pv",
    ),
    _static(
        "records-in-clear",
        "Records carry the text beside the ciphertext",
        "secrecy-payload-server-to-client",
        (
            "variants/records_encrypted.pvl",
            "aeadSeal(m, direction, noAssociatedData, text).",
            "(text, aeadSeal(m, direction, noAssociatedData, text)).",
        ),
        (
            "variants/records_encrypted.pvl",
            "= aeadOpen(m, direction, noAssociatedData, record).",
            "= let (text: bitstring, sealed: bitstring) = record in aeadOpen(m, direction, noAssociatedData, sealed).",
        ),
        script="static_secrecy.pv",
    ),
    _static(
        "records-without-direction",
        "Records of both directions are sealed alike",
        "payload-authentic-client-to-server",
        ("checks/direction.pvl", "serverDirection() = fromServer", "serverDirection() = fromClient"),
        script="static_payload.pv",
    ),
    _static(
        "records-without-key",
        "Records are opened without a look at their tag",
        "payload-authentic-server-to-client",
        ("variants/records_encrypted.pvl", "= aeadOpen(m, direction, noAssociatedData, record).", "= record."),
        script="static_payload.pv",
    ),
    _static(
        "server-speaks-first",
        "The server sends payload before ClientFinished",
        "server-waits",
        ("checks/server_waits.pvl", "m: Key) = 0.", "m: Key) = ServerSendsPayload(self, peer, serverNonce, m)."),
        script="static_payload.pv",
    ),
    _static(
        "server-speaks-to-anybody",
        "The server sends payload whatever ClientFinished says",
        "server-waits",
        (_ROLES, _SERVER_CHECKS, "true"),
        script="static_payload.pv",
    ),
)

TICKETS: Final = (
    _static(
        "client-checks-no-ticket-mac",
        "The client takes the ticket without its authenticator",
        "ticket-of-server",
        (_ROLES, _CLIENT_CHECKS, "mac = hmac(a, serverFinishedText())"),
        script="static_tickets.pv",
        swap=_NOBODY,
    ),
    _static(
        "server-checks-no-ticket-mac",
        "The server takes the ticket without its authenticator",
        "ticket-of-client",
        (_ROLES, _SERVER_CHECKS, "mac = hmac(a, clientFinishedText())"),
        script="static_tickets.pv",
        swap=_NOBODY,
    ),
    _static(
        "ticket-mac-without-ticket",
        "The second authenticator covers its string alone",
        "ticket-of-server",
        ("checks/ticket_mac.pvl", "= hmac(a, (label, ticket)).", "= hmac(a, label)."),
        ("checks/ticket_mac.pvl", "(mac = hmac(a, (label, ticket)))", "(mac = hmac(a, label))"),
        script="static_tickets.pv",
        swap=_NOBODY,
    ),
    _static(
        "ticket-strings-alike",
        "Both roles put the same string in front of their tickets",
        "ticket-of-client",
        (
            "checks/finished_role.pvl",
            "clientTicketText() = clientTicketString",
            "clientTicketText() = serverTicketString",
        ),
        script="static_tickets.pv",
        swap=_NOBODY,
    ),
    Mutant(
        "no-mac-for-no-ticket",
        "That there is no ticket is not authenticated",
        "static_without_tickets.pv",
        (Edit(_ROLES, _CLIENT_CHECKS, "mac = hmac(a, serverFinishedText())"),),
        ("static/without-tickets/ticket-of-server",),
        _NOBODY,
    ),
)

_INDIVIDUAL: Final = "genuine-individual-client"
_WORKLOAD: Final = "genuine-workload-client"


def _credentials(name: str, about: str, *edits: tuple[str, str, str], query: str = _INDIVIDUAL) -> Mutant:
    return _static(name, about, query, *edits, script=_CREDENTIALS, swap=_NO_TICKETS)


CREDENTIALS: Final = (
    *(_credentials(name, about, edit) for name, about, edit in OMISSIONS),
    _credentials(
        "policy-takes-any-name-space",
        "The policy lets an authority speak for other categories' name spaces",
        (
            "checks/policy.pvl",
            POLICY,
            POLICY.replace("c: Category", "c: Category, d: Category").replace("home(c,", "home(d,"),
        ),
    ),
    _credentials(
        "cells-speak-for-others",
        "A base master signs for workloads of any cell",
        (
            "checks/scope.pvl",
            "forall s: Scope, n: Name; masterCovers(workload, anyWithin(s), identity(s, n))",
            "forall s: Scope, i: Identity; masterCovers(workload, anyWithin(s), i)",
        ),
        query=_WORKLOAD,
    ),
    _credentials(
        "humans-serve",
        "A human is taken for a server",
        (_ROLES, "mayServe(category) && isTarget(target, server)", "isTarget(target, server)"),
        query="humans-never-serve",
    ),
    _credentials(
        "requester-not-named",
        "The Signing Service writes what Mallory says into the issuer's field",
        (_CORRUPTION, "issueMaster(signingService, mallory,", "issueMaster(signingService, authority(category),"),
    ),
)

GUARDS: Final = (
    _static(
        "stolen-master-unnoticed",
        "A stolen master is no excuse",
        "agreement-client",
        (_CORRUPTION, "event MasterStolen(subject);", ""),
        swap=_NO_TICKETS,
    ),
    _static(
        "stolen-master-unnoticed-secrecy",
        "A stolen master is no excuse for lost payload",
        "secrecy-payload-client-to-server",
        (_CORRUPTION, "event MasterStolen(subject);", ""),
        script="static_secrecy.pv",
        swap=_NO_TICKETS,
    ),
    _credentials(
        "stolen-master-not-revoked",
        "The master that is said to be revoked is in force",
        (_CORRUPTION, "key, revoked(n))).", "key, live(n)))."),
    ),
    _credentials(
        "stolen-handshake-not-revoked",
        "The handshake certificate that is said to be revoked is in force",
        (_CORRUPTION, "share, revoked(n), master)", "share, live(n), master)"),
    ),
    _static(
        "stolen-dh-key-unnoticed",
        "A stolen Diffie-Hellman key is no excuse",
        "key-theft/third-party-theft-client",
        ("corruption/dh_keys_stolen.pvl", "  event DhKeyStolen(self);\n", ""),
        script="static_key_theft.pv",
        swap=_QUIET,
    ),
)

STATIC: Final = (*HANDSHAKE, *TICKETS, *CREDENTIALS, *GUARDS)
