"""The checks that the explorer can leave out, one by one, and the machine without them.

These switches exist for the explorer alone: nothing that handles bytes knows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from alts_model import terms
from alts_model.algebra import FINISHED_LABELS, TICKET_LABELS
from alts_model.ciphers import Cipher
from alts_model.connection import Local
from alts_model.keying import KeyAgreement
from alts_model.machine import Machine
from alts_model.messages import CertificateView, Finished, IssuedTicket
from alts_model.resuming import Owner, Resumer
from alts_model.stores import Contents, Held, Resumption, Session, TicketCache
from alts_model.symbolic import SymbolicAlgebra
from alts_model.tables import Role
from alts_model.terms import Term, const
from alts_model.trust import Trust, Verifier


@dataclass(frozen=True, slots=True)
class Check:
    """A check that can be left out. `visible`: the explorer finds an attack within its default bounds without it.

    `scenario` names the one of `searches.py` in which it is looked for; empty: those of `scenario.py`.
    """

    name: str
    text: str
    requirements: tuple[str, ...]
    visible: bool
    note: str = ""
    scenario: str = ""


_CHECKS: Final = (
    Check("authority", "the verification key of the master is an installed one", ("CRED-4",), True),
    Check("master-signature", "the Signing Service's signature on the master certificate", ("CRED-4",), True),
    Check("handshake-signature", "the master key's signature on the handshake certificate", ("CRED-4",), True),
    Check("master-identity", "a machine's identity is its master's", ("CRED-2", "ISSUE-6"), True),
    Check("workload-patterns", "a workload's identity matches its master's patterns", ("CRED-2", "ISSUE-7"), True),
    Check("validity", "both certificates are within their validity", ("REVOKE-1",), True),
    Check("category", "a human is no server", ("TRUST-3",), True),
    Check("policy", "the policy allows the issuer to issue this", ("POLICY-3",), True),
    Check("revocation", "neither certificate is revoked", ("REVOKE-6",), True),
    Check("target", "the server is one that the application named", ("TRUST-2",), True),
    Check("server-finished", "the authenticator in ServerFinished", ("HS-7", "HS-8"), True),
    Check("client-finished", "the authenticator in ClientFinished", ("HS-9",), True),
    Check("finished-labels", "the two authenticators are over different strings", ("HS-7", "HS-9"), True),
    Check("ticket-authenticator", "the second authenticator, over the ticket", ("RES-2",), True),
    Check("nonces", "both nonces are fresh", ("HS-5",), True),
    Check("client-nonce", "the client's nonce is fresh", ("HS-5",), True),
    Check("server-nonce", "the server's nonce is fresh", ("HS-5",), True),
    Check("lists-in-transcript", "the offered lists are in the transcript", ("HS-4", "HS-5"), True),
    Check("choices-in-transcript", "the choices are in the transcript", ("HS-5", "HS-6"), True),
    Check("certificates-in-transcript", "the certificates are in the transcript", ("HS-5",), True),
    Check("record-direction", "the direction is in the record counter", ("REC-8",), True),
    Check("record-counter", "frames are counted", ("REC-8",), True),
    Check(
        "identities-in-keys",
        "the identities are in the key derivation",
        ("HS-5",),
        False,
        "alone it is covered by the certificates in the transcript; without both, an unknown key share is found",
    ),
    Check(
        "master-digest",
        "the handshake certificate names its master by digest",
        ("CRED-2",),
        False,
        "the master's own signature and the policy already stop an exchanged master in this realm",
    ),
    Check(
        "zero-check",
        "an all-zero Diffie-Hellman result is refused",
        ("HS-1",),
        False,
        "only the owner of a certificate can put a point of low order into it, and that harms nobody else; "
        "vectors test this check",
    ),
    Check("static-in-keys", "the static-static result is in the key material", ("HS-1", "HS-10"), True, "", "PFS"),
    Check(
        "holder-removes",
        "a holder removes a ticket before it sends it",
        ("RES-7",),
        True,
        "",
        "two clients of one process",
    ),
    Check(
        "maker-marks",
        "a maker marks a secret before it uses it",
        ("RES-7",),
        True,
        "",
        "replicas that share their memory",
    ),
    *(
        Check(f"ticket-{what}", f"{text}, when a ticket is used", ids, True, "", f"later: {what}")
        for what, text, ids in (
            ("life", "a ticket's life", ("RES-8",)),
            ("authority", "the peer's verification key is installed", ("CRED-4", "RES-8")),
            ("policy", "the policy allows the peer", ("POLICY-2", "RES-8")),
            ("revocation", "nothing is revoked", ("REVOKE-6", "RES-8")),
            ("target", "the peer is one that the application named", ("TRUST-2", "RES-8")),
        )
    ),
    *(
        Check(name, text, ("RES-2", "RES-3"), False, "one of six that prevent a reflected ticket", "reflection")
        for name, text in (
            ("ticket-role", "the maker's role in a ticket's associated data"),
            ("ticket-identity", "the identity that a client claims is that of the session"),
            ("ticket-secrets", "each maker has a secret of its own"),
            ("ticket-idr", "a client's ticket is for the IDR of its ClientInit"),
        )
    ),
)

CHECKS: Final[dict[str, Check]] = {check.name: check for check in _CHECKS}
"""Name to check, in the order in which they are explored."""

UNKNOWN_KEY_SHARE: Final = frozenset({"certificates-in-transcript", "identities-in-keys"})
"""Left out together, these two show an unknown key share; neither does so alone."""

REFLECTION_CHECKS: Final = frozenset(
    {
        "ticket-role",
        "ticket-identity",
        "ticket-secrets",
        "ticket-idr",
        "ticket-authenticator",
        "identities-in-keys",
    }
)
"""Left out together, these six let a server's own ticket come back as a client's; each of them alone prevents it."""

# Positions in the terms of symbolic.py.
_LISTS: Final = {"ClientInit": (2, 3, 5)}
_CHOICES: Final = {"ServerInit": (3, 4, 5, 7)}
_CERTIFICATES: Final = {"ClientInit": (1,), "ServerInit": (2,)}


class WeakAlgebra(SymbolicAlgebra):
    """The symbolic algebra without some bindings."""

    def __init__(self, without: frozenset[str]) -> None:
        self._without = without

    def transcript(self, client_init: Term, server_init: Term) -> Term:
        """The transcript hash, over what is left."""
        for check, positions in (
            ("lists-in-transcript", _LISTS),
            ("choices-in-transcript", _CHOICES),
            ("certificates-in-transcript", _CERTIFICATES),
        ):
            if check in self._without:
                client_init = _blank(client_init, positions.get(client_init.op, ()))
                server_init = _blank(server_init, positions.get(server_init.op, ()))
        return super().transcript(client_init, server_init)

    def info(self, label: str, transcript: Term, client: str, server: str) -> Term:
        """The info, with or without identities."""
        if "identities-in-keys" in self._without:
            client = server = ""
        return super().info(label, transcript, client, server)

    def authenticator(self, key: Term, label: str) -> Term:
        """The authenticator, of either role or of none."""
        return super().authenticator(key, FINISHED_LABELS["server"] if "finished-labels" in self._without else label)

    def ticket_authenticator(self, key: Term, label: str, ticket: IssuedTicket[Term] | None) -> Term:
        """The same for the ticket."""
        label = TICKET_LABELS["server"] if "finished-labels" in self._without else label
        return super().ticket_authenticator(key, label, ticket)

    def ticket_secret(self, R: Term, maker: Role) -> Term:
        """The secret of a ticket, of either maker or of none."""
        return super().ticket_secret(R, "server" if "ticket-secrets" in self._without else maker)

    def ticket_aad(self, maker: Role, identity: str, resumption_id: bytes, epoch: int) -> Term:
        """The associated data, with the role or without."""
        maker = "server" if "ticket-role" in self._without else maker
        return super().ticket_aad(maker, identity, resumption_id, epoch)

    def is_zero(self, shared: Term) -> bool:
        """The zero check."""
        return "zero-check" not in self._without and super().is_zero(shared)

    def record_position(self, M: Term, sender: Role, counter: int) -> tuple[Term, Term]:
        """Key and nonce of a frame."""
        if "record-direction" in self._without:
            sender = "client"
        return super().record_position(M, sender, 0 if "record-counter" in self._without else counter)


def _blank(message: Term, positions: tuple[int, ...]) -> Term:
    arguments = list(message.args)
    for position in positions:
        arguments[position] = const("left out")
    return terms.make(message.op, *arguments)


class WeakVerifier(Verifier[Term]):
    """The verifier without some steps."""

    def __init__(self, algebra: SymbolicAlgebra, without: frozenset[str]) -> None:
        super().__init__(algebra)
        self._without = without

    def well_formed(self, view: CertificateView[Term]) -> None:
        """Step 1."""
        if "master-digest" in self._without:
            view = replace(view, master_digest=view.master.digest)
        super().well_formed(view)

    def names(self, view: CertificateView[Term]) -> None:
        """Step 1, names."""
        left_out = "workload-patterns" if view.master.workload_identities else "master-identity"
        if left_out not in self._without:
            super().names(view)

    def authority(self, view: CertificateView[Term], trust: Trust[Term]) -> Term:
        """Step 2: without it, whatever key the certificate names is as good as installed."""
        key_id = view.master.verification_key_id
        if "authority" in self._without and key_id.op == "hash":
            return key_id.subterms[0]
        return super().authority(view, trust)

    def current(self, view: CertificateView[Term], trust: Trust[Term]) -> None:
        """Step 3."""
        if "validity" not in self._without:
            super().current(view, trust)

    def master_signature(self, view: CertificateView[Term], anchor: Term) -> None:
        """Step 4."""
        if "master-signature" not in self._without:
            super().master_signature(view, anchor)

    def handshake_signature(self, view: CertificateView[Term]) -> None:
        """Step 4."""
        if "handshake-signature" not in self._without:
            super().handshake_signature(view)

    def category(self, view: CertificateView[Term], peer_role: Role) -> None:
        """Step 5."""
        if "category" not in self._without:
            super().category(view, peer_role)

    def policy(self, view: CertificateView[Term], trust: Trust[Term]) -> None:
        """Step 6."""
        if "policy" not in self._without:
            super().policy(view, trust)

    def revocation(self, view: CertificateView[Term], trust: Trust[Term]) -> None:
        """Step 7."""
        if "revocation" not in self._without:
            super().revocation(view, trust)

    def target(self, view: CertificateView[Term], trust: Trust[Term]) -> None:
        """Step 8."""
        if "target" not in self._without:
            super().target(view, trust)


class WeakResumer(Resumer[Term]):
    """The rules of resumption without some checks."""

    def __init__(self, algebra: SymbolicAlgebra, without: frozenset[str]) -> None:
        super().__init__(algebra)
        self._without = without

    def take(self, cache: TicketCache[Term], wanted: Callable[[Held[Term]], bool], now: int) -> Held[Term] | None:
        """Remove before sending."""
        held = super().take(cache, wanted, 0 if "ticket-life" in self._without else now)
        if held is not None and "holder-removes" in self._without:
            cache.keep(held)
        return held

    def mark(self, resumption: Resumption[Term], secret: Term, expires: int, now: int) -> bool:
        """Check and set."""
        return super().mark(resumption, secret, expires, now) or "maker-marks" in self._without

    def is_alive(self, contents: Contents[Term], now: int) -> bool:
        """Life, at the maker; `take` minds it at the holder."""
        return "ticket-life" in self._without or super().is_alive(contents, now)

    def is_claimed(self, session: Session[Term], claimed: CertificateView[Term]) -> bool:
        """The identity that a certificate claims."""
        return "ticket-identity" in self._without or super().is_claimed(session, claimed)

    def authority(self, owner: Owner[Term], session: Session[Term]) -> bool:
        """Trust anchor."""
        return "ticket-authority" in self._without or super().authority(owner, session)

    def policy(self, owner: Owner[Term], session: Session[Term]) -> bool:
        """Policy."""
        return "ticket-policy" in self._without or super().policy(owner, session)

    def revocation(self, owner: Owner[Term], session: Session[Term]) -> bool:
        """Revocation."""
        return "ticket-revocation" in self._without or super().revocation(owner, session)

    def target(self, owner: Owner[Term], session: Session[Term]) -> bool:
        """Target identities."""
        return "ticket-target" in self._without or super().target(owner, session)


class WeakKeyAgreement(KeyAgreement[Term]):
    """Key material without the static-static result."""

    def __init__(self, algebra: SymbolicAlgebra, without: frozenset[str]) -> None:
        super().__init__(algebra)
        self._without = without

    def names(self, cipher: Cipher, resumed: bool) -> tuple[str, ...]:
        """The terms."""
        terms_ = super().names(cipher, resumed)
        if "static-in-keys" in self._without and len(terms_) > 1:
            return terms_[1:]
        return terms_


class WeakMachine(Machine[Term]):
    """The abstract machine over the symbolic algebra, without some checks; the whole one if `without` is empty."""

    def __init__(self, without: frozenset[str] = frozenset()) -> None:
        algebra = WeakAlgebra(without)
        super().__init__(
            algebra,
            WeakVerifier(algebra, without),
            WeakResumer(algebra, without),
            WeakKeyAgreement(algebra, without),
        )
        self.without = without

    def authenticator_is_right(self, sender: Role, expected: Finished[Term], given: Finished[Term]) -> bool:
        """The first authenticator."""
        return f"{sender}-finished" in self.without or super().authenticator_is_right(sender, expected, given)

    def ticket_authenticator_is_right(self, sender: Role, expected: Finished[Term], given: Finished[Term]) -> bool:
        """The second authenticator. Without the first one it is left out too: they are one check then."""
        if self.without & {"ticket-authenticator", f"{sender}-finished"}:
            return True
        return super().ticket_authenticator_is_right(sender, expected, given)

    def is_for_the_client(self, local: Local[Term], ticket: IssuedTicket[Term]) -> bool:
        """The IDR of a client's ticket."""
        return "ticket-idr" in self.without or super().is_for_the_client(local, ticket)
