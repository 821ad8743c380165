"""The mutants of the handshake ciphers with ephemeral keys: one secret is left out of the key material."""

from __future__ import annotations

from typing import Final

from alts_proofs.mutate import Edit, Mutant

_MATERIAL: Final = "checks/static_secret.pvl"

CIPHERS: Final = (
    Mutant(
        "pfs-without-ephemeral-secret",
        "The key material of the forward secret cipher has the static secret alone",
        "pfs_forward_secrecy.pv",
        (Edit(_MATERIAL, "= (ss, ee).", "= (ss, ss)."),),
        ("pfs/forward-secrecy/payload-client-to-server",),
    ),
    Mutant(
        "pfs-without-static-secret",
        "The key material of the forward secret cipher has the ephemeral secret alone",
        "pfs_ephemerals_stolen.pv",
        (Edit(_MATERIAL, "= (ss, ee).", "= (ee, ee)."),),
        ("pfs/ephemerals-stolen/payload-client-to-server",),
    ),
    Mutant(
        "hybrid-without-encapsulated-secret",
        "The key material of the hybrid has X25519 secrets alone",
        "hybrid_curve_opened.pv",
        (Edit(_MATERIAL, "= (ss, ee, k).", "= (ss, ee, ee)."),),
        ("hybrid/x25519-opened/payload-client-to-server",),
    ),
)
