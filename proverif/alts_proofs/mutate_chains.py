"""What can be taken out of the verification of a certificate chain, in whichever handshake a script has it.

The fragments that these rows change are the same for all ciphers; the modules beside this one say in which scripts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_VERIFICATION: Final = "lib/verification.pvl"
_BOTH_LIVE: Final = "masterIsLive(masterId) && handshakeIsLive(id)"
POLICY: Final = "forall c: Category, h: Name, n: Name; policyPermits(authority(c), c, identity(home(c, h), n)) = true."
"""The rule of `checks/policy.pvl`: an authority may issue for the name spaces of its own category."""


class Omission(NamedTuple):
    """One check that is left out: its name, a sentence, and file, old text and new text of the edit."""

    name: str
    about: str
    edit: tuple[str, str, str]


OMISSIONS: Final = (
    Omission(
        "policy-takes-any-issuer",
        "The policy does not ask who requested the master",
        (
            "checks/policy.pvl",
            POLICY,
            POLICY.replace("c: Category", "i: Issuer, c: Category").replace("authority(c)", "i"),
        ),
    ),
    Omission(
        "individuals-speak-for-others",
        "An individual's master signs for any identity",
        (
            "checks/scope.pvl",
            "forall k: Kind, i: Identity; masterCovers(individual(k), exactly(i), i)",
            "forall k: Kind, i: Identity, j: Identity; masterCovers(individual(k), exactly(i), j)",
        ),
    ),
    Omission(
        "master-not-looked-up",
        "The revocation file is not asked about the master",
        (_VERIFICATION, _BOTH_LIVE, "handshakeIsLive(id)"),
    ),
    Omission(
        "handshake-not-looked-up",
        "The revocation file is not asked about the handshake certificate",
        (_VERIFICATION, _BOTH_LIVE, "masterIsLive(masterId)"),
    ),
    Omission(
        "master-unsigned",
        "The master's signature is not verified",
        (_VERIFICATION, "masterContents(root, master)", "unverifiedBytes(master)"),
    ),
    Omission(
        "handshake-unsigned",
        "The handshake certificate's signature is not verified",
        (_VERIFICATION, "handshakeContents(masterKey, certificate)", "unverifiedBytes(certificate)"),
    ),
)
