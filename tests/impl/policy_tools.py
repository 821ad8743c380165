"""Strategies and keys for the tests of policies and of signed files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st

from alts import Category, Policy, Rule
from alts.policy import Kind, compile_policy, peek, read_document

if TYPE_CHECKING:
    from pathlib import Path

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
PUBLIC, OTHER_PUBLIC = KEY.public_key().public_bytes_raw(), OTHER_KEY.public_key().public_bytes_raw()
NOW = 1_800_000_000

SEGMENTS = st.sampled_from(["a", "b", "prod"])
PATTERNS = st.builds(
    lambda parts, last: "/".join([*parts, last]),
    st.lists(SEGMENTS | st.just("*"), max_size=3),
    SEGMENTS | st.sampled_from(["*", "**"]),
)
RULES = st.builds(Rule, PATTERNS, st.sampled_from(Category), PATTERNS)
POLICIES = st.lists(RULES, max_size=5).map(lambda rules: Policy(tuple(rules)))

TEXT = """\
format = 1
deployment = "production"

[[rule]]
issuer = "ca"
category = "human"
identity = "corp/*"
"""


def signed(text: str = TEXT, *, sequence: int = 1, issued_at: int = NOW, key: Ed25519PrivateKey = KEY) -> bytes:
    """Compile a policy document."""
    return compile_policy(read_document(text), key=key, sequence=sequence, issued_at=issued_at)


def sequence_of(kind: Kind, path: Path) -> int:
    """Return the sequence number that a signed file names."""
    return peek(kind, path.read_bytes()).sequence
