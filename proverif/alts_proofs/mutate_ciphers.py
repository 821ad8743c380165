"""The mutants of the handshake ciphers with ephemeral keys: secrets, bindings, checks, and their certificate chains."""

from __future__ import annotations

from typing import Final

from alts_proofs.mutate import Edit, Mutant
from alts_proofs.mutate_chains import OMISSIONS

_MATERIAL: Final = "checks/static_secret.pvl"
_FINISH: Final = "brief/finish.pvl"
_ROLES: Final = "brief/full_roles.pvl"
_NO_STRANGERS: Final = (("corruption/strangers.pvl", "corruption/no_strangers.pvl"),)
"""The attacker has no certificate: for whatever is wrong without."""


def _mutant(
    name: str,
    about: str,
    script: str,
    query: str,
    *edits: tuple[str, str, str],
    swap: tuple[tuple[str, str], ...] = _NO_STRANGERS,
) -> Mutant:
    return Mutant(name, about, script, tuple(Edit(*edit) for edit in edits), (query,), swap)


SECRETS: Final = (
    _mutant(
        "pfs-without-ephemeral-secret",
        "The key material of the forward secret cipher has the static secret alone",
        "pfs_forward_secrecy.pv",
        "pfs/forward-secrecy/payload-client-to-server",
        (_MATERIAL, "= (ss, ee).", "= (ss, ss)."),
        swap=(),
    ),
    _mutant(
        "pfs-without-static-secret",
        "The key material of the forward secret cipher has the ephemeral secret alone",
        "pfs_ephemerals_stolen.pv",
        "pfs/ephemerals-stolen/payload-client-to-server",
        (_MATERIAL, "= (ss, ee).", "= (ee, ee)."),
        swap=(),
    ),
    _mutant(
        "hybrid-without-encapsulated-secret",
        "The key material of the hybrid has X25519 secrets alone",
        "hybrid_curve_opened.pv",
        "hybrid/x25519-opened/payload-client-to-server",
        (_MATERIAL, "= (ss, ee, k).", "= (ss, ee, ee)."),
        swap=(),
    ),
    _mutant(
        "kci-without-static-secret",
        "The key material of the KCI-resistant cipher lacks ss",
        "kci_ephemerals_stolen.pv",
        "kci/ephemerals-stolen/payload-client-to-server",
        (_MATERIAL, "= (ss, es, se, ee).", "= (es, es, se, ee)."),
    ),
    _mutant(
        "kci-without-es",
        "The key material of the KCI-resistant cipher lacks es, the secret of client's share and server's static key",
        "kci_key_theft.pv",
        "kci/key-theft/client-not-fooled",
        (_MATERIAL, "= (ss, es, se, ee).", "= (ss, ss, se, ee)."),
    ),
    _mutant(
        "kci-without-se",
        "The key material of the KCI-resistant cipher lacks se, the secret of client's static key and server's share",
        "kci_key_theft.pv",
        "kci/key-theft/server-not-fooled",
        (_MATERIAL, "= (ss, es, se, ee).", "= (ss, es, es, ee)."),
    ),
    _mutant(
        "kci-without-ephemeral-secret",
        "The key material of the KCI-resistant cipher lacks ee",
        "kci_forward_secrecy.pv",
        "kci/forward-secrecy/payload-client-to-server",
        (_MATERIAL, "= (ss, es, se, ee).", "= (ss, es, se, se)."),
    ),
)

HANDSHAKE: Final = (
    _mutant(
        "kci-client-checks-no-finished",
        "The client does not compare the authenticator of ServerFinished",
        "kci_agreement.pv",
        "kci/agreement-client",
        (_FINISH, "if mac = hmac(a, serverFinishedText()) then", "if mac = mac then"),
    ),
    _mutant(
        "kci-server-checks-no-finished",
        "The server does not compare the authenticator of ClientFinished",
        "kci_agreement.pv",
        "kci/agreement-server",
        (_FINISH, "if mac = hmac(a, clientFinishedText()) then", "if mac = mac then"),
    ),
    _mutant(
        "kci-finished-without-role",
        "Client and server authenticate the same string",
        "kci_agreement.pv",
        "kci/agreement-server",
        (
            "checks/finished_role.pvl",
            "clientFinishedText() = clientFinishedString",
            "clientFinishedText() = serverFinishedString",
        ),
    ),
    _mutant(
        "kci-transcript-without-server-init",
        "ServerInit is not in the transcript",
        "kci_agreement.pv",
        "kci/agreement-client",
        ("checks/transcript.pvl", "(transcriptContext, init, answer)", "(transcriptContext, init)"),
    ),
    _mutant(
        "kci-client-ignores-the-target",
        "The client takes the static key of whoever answers for that of its target",
        "kci_agreement.pv",
        "kci/agreement-client",
        (_ROLES, "let certified(=target, static)", "let certified(whoever, static)"),
        swap=(),
    ),
    _mutant(
        "kci-server-certificate-unsigned",
        "The client does not verify the signature of the server's certificate",
        "kci_agreement.pv",
        "kci/agreement-client",
        (
            _ROLES,
            "verifiedBytes(root, certificateContext, serverCertificate)",
            "unverifiedBytes(serverCertificate)",
        ),
    ),
    _mutant(
        "kci-client-certificate-unsigned",
        "The server does not verify the signature of the client's certificate",
        "kci_agreement.pv",
        "kci/agreement-server",
        (
            _ROLES,
            "verifiedBytes(root, certificateContext, clientCertificate)",
            "unverifiedBytes(clientCertificate)",
        ),
    ),
    _mutant(
        "kci-stolen-key-unnoticed",
        "A peer's stolen static key is no excuse",
        "kci_key_theft.pv",
        "kci/key-theft/client-not-fooled",
        ("corruption/dh_keys_stolen.pvl", "  event DhKeyStolen(self);\n", ""),
    ),
)


def _chain(name: str, about: str, *edits: tuple[str, str, str], end: str = "client") -> Mutant:
    query = f"pfs/genuine-individual-{end}"
    return _mutant(f"pfs-{name}", about, "pfs_credentials.pv", query, *edits, swap=())


CREDENTIALS: Final = (
    *(_chain(name, about, edit) for name, about, edit in OMISSIONS),
    _chain(
        "client-ignores-the-target",
        "The client completes with whoever answers",
        ("brief/machines_roles.pvl", "mayServe(category) && isTarget(target, server)", "mayServe(category)"),
        end="server",
    ),
    _chain(
        "stolen-master-unnoticed",
        "A stolen master is no excuse",
        ("corruption/credentials.pvl", "event MasterStolen(subject);", ""),
    ),
    _mutant(
        "hybrid-stolen-master-unnoticed",
        "A stolen master is no excuse",
        "hybrid_credentials.pv",
        "hybrid/genuine-individual-server",
        ("corruption/credentials.pvl", "event MasterStolen(subject);", ""),
        swap=(),
    ),
)

CIPHERS: Final = (*SECRETS, *HANDSHAKE, *CREDENTIALS)
