"""Identities, identity patterns and lists (SPEC.md 4.3, 4.4, 5.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from alts_model.ciphers import CIPHERS, STATIC

IMPLEMENTED_HANDSHAKE_CIPHERS: Final = tuple(CIPHERS)
DEFAULT_HANDSHAKE_CIPHERS: Final = (STATIC,)
"""What is offered, allowed and written into certificates unless something else is asked for (HS-10)."""
IMPLEMENTED_RECORD_PROTOCOLS: Final = ("ALTSRP_GCM_AES128_REKEY",)
ENCRYPTING_RECORD_PROTOCOLS: Final = frozenset({"ALTSRP_GCM_AES128_REKEY"})

MIN_FRAME_SIZE: Final = 16384
MAX_FRAME_SIZE: Final = 1048576

_SEGMENT: Final = re.compile(r"[A-Za-z0-9._@-]{1,63}")
_NAME: Final = re.compile(r"[\x21-\x7e]{1,64}")


def is_segment(text: str) -> bool:
    """Whether `text` is one identity segment."""
    return _SEGMENT.fullmatch(text) is not None and text not in (".", "..")


def is_identity(text: str) -> bool:
    """Whether `text` is an identity: 1 to 8 segments, at most 255 characters (TRUST-2)."""
    segments = text.split("/")
    return len(text) <= 255 and len(segments) <= 8 and all(map(is_segment, segments))


def is_pattern(text: str) -> bool:
    """Whether `text` is an identity pattern: `*` for one segment, `**` (last only) for one or more."""
    segments = text.split("/")
    if len(text) > 255 or len(segments) > 8:
        return False
    head, last = segments[:-1], segments[-1]
    return all(segment == "*" or is_segment(segment) for segment in head) and (last in ("*", "**") or is_segment(last))


def matches(pattern: str, identity: str) -> bool:
    """Whether an identity matches a pattern. Both must be well-formed; otherwise the answer is no."""
    if not is_pattern(pattern) or not is_identity(identity):
        return False
    wanted, given = pattern.split("/"), identity.split("/")
    if wanted[-1] == "**":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(want in ("*", have) for want, have in zip(wanted, given, strict=True))


def is_list(entries: Sequence[str]) -> bool:
    """Whether `entries` is a *list* of SPEC.md 5.2: 1 to 16 names, none twice."""
    return 1 <= len(entries) <= 16 and len(set(entries)) == len(entries) and all(map(_NAME.fullmatch, entries))
