"""What names, identities and boundaries that a caller gives have to be; each refusal says the rule (SPEC 4.3, 4.7)."""

from __future__ import annotations

import re

from .._errors import ConfigurationError
from .._names import BOUNDARY, IDENTITY, SEGMENT

NAME = re.compile(SEGMENT, re.ASCII)
"""The name of a realm or of a credential: one segment of an identity (SPEC 4.3) that does not start with `.`."""
REVOCATION_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
REVOCATION_ID_RULE = "16 lower-case hexadecimal digits"
_SEGMENT_RULE = "1 to 63 of A-Z a-z 0-9 . _ - @"


class BadArgument(ConfigurationError):
    """What was asked for can never be done: an argument fits no rule. The realm directory may be as it should be."""


def check_name(name: str, what: str) -> None:
    """Refuse what is no name of a realm or credential. Raises BadArgument."""
    if not NAME.fullmatch(name) or name.startswith("."):
        raise BadArgument(f"{what}: {name!r} is not {_SEGMENT_RULE} without a leading dot")


def check_identity(identity: str, what: str) -> None:
    """Refuse what is no identity. Raises BadArgument."""
    if not IDENTITY.fullmatch(identity):
        pattern = "; no pattern is one" if "*" in identity else ""
        raise BadArgument(
            f"{what}: {identity!r} is not an identity (SPEC 4.3): at most 255 characters, in 1 to 8 parts between '/',"
            f" each {_SEGMENT_RULE}, but not '.' or '..'{pattern}"
        )


def check_segment(text: str, what: str) -> None:
    """Refuse what is not one segment of an identity. Raises BadArgument."""
    if not NAME.fullmatch(text):
        raise BadArgument(f"{what}: {text!r} is not {_SEGMENT_RULE}, and '.' and '..' are not either (SPEC 4.3)")


def check_boundary(boundary: str) -> None:
    """Refuse what is no physical boundary. Raises BadArgument."""
    if not BOUNDARY.fullmatch(boundary):
        raise BadArgument(f"boundary: {boundary!r} is not {_SEGMENT_RULE}, and not empty either (SPEC 4.7)")
