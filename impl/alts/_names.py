"""Identities, patterns, boundaries, lists of names: what certificates and messages may say (SPEC 4.3 to 4.7, 5.2)."""

from __future__ import annotations

import re

MAX_LIST = 16
"""Entries of a list of names at most (SPEC 5.2)."""
SEGMENT = r"(?!\.\.?(?:/|\Z))[A-Za-z0-9._@-]{1,63}"
IDENTITY = re.compile(rf"(?=.{{1,255}}\Z){SEGMENT}(?:/{SEGMENT}){{0,7}}", re.ASCII)
"""An identity (SPEC 4.3); use `fullmatch`."""
PATTERN = re.compile(rf"(?=.{{1,255}}\Z)(?:(?:{SEGMENT}|\*)/){{0,7}}(?:{SEGMENT}|\*\*?)", re.ASCII)
"""An identity pattern (SPEC 4.4); use `fullmatch`."""
BOUNDARY = re.compile(rf"(?:{SEGMENT})?", re.ASCII)
"""A boundary (SPEC 4.7); use `fullmatch`."""
NAME = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
"""An entry of a list (SPEC 5.2); use `fullmatch`."""
