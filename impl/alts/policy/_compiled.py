"""The compiled policy: a signed file that every machine holds, and the store that keeps one in force (SPEC 13.2)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._errors import ConfigurationError
from .._signed_file import FileDamaged, FileWrongDeployment, Header, Kind, pinned, seal, unseal
from .._signed_file_store import Freshness, SignedFileStore
from .._trust import Category, Policy, Rule
from ._document import MAX_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ._document import PolicyDocument

BODY_FORMAT = 1
MAX_FILE_SIZE = 4 << 20


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """What a policy file says: for which deployment, and the policy."""

    deployment: str
    policy: Policy


def compile_policy(document: PolicyDocument, *, key: Ed25519PrivateKey, sequence: int, issued_at: int) -> bytes:
    """Return the signed file of a policy document.

    Args:
        document: without errors; warnings are the caller's business.
        key: of the policy's signer; it is pinned on every machine.
        sequence: above that of the signer's last policy file.
        issued_at: seconds since the epoch.

    Raises:
        UsageError: the sequence number or the time is out of range.
    """
    policy = document.policy
    body = _encode(document.deployment, policy)
    return seal(Kind.POLICY, body, counts=_counts(policy), sequence=sequence, issued_at=issued_at, key=key)


def open_policy(data: bytes, keys: Collection[bytes]) -> tuple[Header, CompiledPolicy]:
    """Verify a policy file and return what it says. For a machine, use `PolicyStore`: this forgets sequence numbers.

    Args:
        data: the file.
        keys: raw Ed25519 public keys, 32 bytes each.

    Raises:
        SignedFileRefused: one of its subclasses says why.
    """
    header, body = unseal(Kind.POLICY, data, pinned(keys))
    return header, decode_body(header, body)


def _counts(policy: Policy) -> tuple[int, int, int]:
    found = Counter(rule.category for rule in policy.rules)
    return found[Category.HUMAN], found[Category.MACHINE], found[Category.WORKLOAD]


def _encode(deployment: str, policy: Policy) -> bytes:
    rules = [[rule.issuer, int(rule.category), rule.identity] for rule in policy.rules]
    document = {"deployment": deployment, "format": BODY_FORMAT, "rules": rules}
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode("ascii")


def decode_body(header: Header, body: bytes) -> CompiledPolicy:
    """Return the policy in a body whose digest has been verified; it is canonical and agrees with the header.

    Raises:
        FileDamaged: the signer signed something that is no policy.
    """
    try:
        document = json.loads(body.decode("ascii"))
        compiled = CompiledPolicy(document["deployment"], _rules(document["rules"]))
        canonical = _encode(compiled.deployment, compiled.policy)
    except (ValueError, LookupError, TypeError, RecursionError, ConfigurationError) as error:
        raise FileDamaged(f"the body is no policy: {type(error).__name__}") from None
    if canonical != body or _counts(compiled.policy) != header.counts or len(compiled.policy.rules) > MAX_RULES:
        raise FileDamaged("the body is not a canonical policy, or not the one that the header counts")
    return compiled


def _rules(entries: list[list[Any]]) -> Policy:
    return Policy(tuple(Rule(issuer, Category(category), identity) for issuer, category, identity in entries))


class PolicyStore(SignedFileStore[CompiledPolicy]):
    """Keeps a machine's policy in force (POLICY-1, POLICY-2); see `SignedFileStore`.

    Args:
        directory: of the store; it exists, and only its owner may write it.
        keys: raw Ed25519 public keys, 32 bytes each, that may sign policies.
        deployment: a policy for another one is refused, though its signature is good.
        clock: seconds since the epoch.
        freshness: how old the policy may be.
        warn: is told, once a file, that it is stale.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keys: Collection[bytes],
        deployment: str,
        clock: Callable[[], float],
        freshness: Freshness | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._deployment = deployment
        more: dict[str, Any] = {} if warn is None else {"warn": warn}
        super().__init__(
            directory,
            kind=Kind.POLICY,
            keys=keys,
            decode=self._decode_for_here,
            limit=MAX_FILE_SIZE,
            clock=clock,
            freshness=freshness,
            **more,
        )

    def _decode_for_here(self, header: Header, body: bytes) -> CompiledPolicy:
        compiled = decode_body(header, body)
        if compiled.deployment != self._deployment:
            raise FileWrongDeployment(f"a policy for {compiled.deployment!r}, here is {self._deployment!r}")
        return compiled

    @property
    def policy(self) -> Policy:
        """For `Trust.policy`: always the policy in force at the moment of the question; without one it denies all."""
        return LivePolicy(self)


class LivePolicy(Policy):
    """A policy that asks a store each time, so that a new policy file acts at the next handshake (POLICY-2)."""

    __slots__ = ("_store",)
    _store: PolicyStore
    __hash__ = object.__hash__

    def __init__(self, store: PolicyStore) -> None:
        super().__init__(())
        object.__setattr__(self, "_store", store)

    def __eq__(self, other: object) -> bool:
        return self is other  # its rules change

    def allows(self, issuer: str, category: int, identity: str) -> bool:
        """Tell whether the policy in force allows it; without a usable one: no."""
        current = self._store.usable()
        return current is not None and current.value.policy.allows(issuer, category, identity)
