"""What an invalid certificate is, for the modules that list them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from alts_model.tables import Role

from ._world import Chain

FORM, RELATION = ("CertificateForm",), ("CertificateRelation",)
STEPS = {
    "BAD_CERTIFICATE": 1,
    "UNKNOWN_AUTHORITY": 2,
    "CERTIFICATE_EXPIRED": 3,
    "BAD_SIGNATURE": 4,
    "CATEGORY_REFUSED": 5,
    "POLICY_DENIED": 6,
    "CERTIFICATE_REVOKED": 7,
    "WRONG_IDENTITY": 8,
}


@dataclass(frozen=True, slots=True)
class Bad:
    """One invalid certificate; `trust` replaces settings of the verifier."""

    name: str
    certificate: bytes
    error: str
    comment: str
    reason: str
    spec: tuple[str, ...]
    flags: tuple[str, ...]
    requirements: tuple[str, ...] = ("CRED-1", "CRED-2")
    role: Role = "client"
    trust: dict[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Of SPEC 4.9."""
        return STEPS[self.error]


def clauses(spec: str) -> tuple[str, ...]:
    """A clause and 4.9, which runs it."""
    return (spec,) if spec == "4.9" else (spec, "4.9")


def bad_form(
    name: str, chain: Chain, comment: str, reason: str, spec: str, flags: tuple[str, ...] = FORM, **more: Any
) -> Bad:
    """A certificate that step 1 of SPEC 4.9 refuses."""
    return Bad(name, chain.build(), "BAD_CERTIFICATE", comment, reason, clauses(spec), flags, **more)
