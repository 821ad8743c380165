"""What the two lists of preferences come to (SPEC.md section 6)."""

from __future__ import annotations

from collections.abc import Sequence

from alts_model.errors import Refused
from alts_model.messages import RpcRange, RpcVersion
from alts_model.syntax import ENCRYPTING_RECORD_PROTOCOLS


def choose(offered: Sequence[str], allowed: Sequence[str], error: str) -> str:
    """The first of the client's list that the server allows (SPEC.md 6.1, HS-4). Raises Refused with `error`."""
    for name in offered:
        if name in allowed:
            return name
    raise Refused(error)


def rpc_version_in_force(left: RpcRange, right: RpcRange) -> RpcVersion:
    """The smaller `max` (SPEC.md 6.3). Raises Refused if the ranges do not overlap."""
    highest = min(left[0], right[0])
    if max(left[1], right[1]) > highest:
        raise Refused("NO_COMMON_RPC_VERSION")
    return highest


def record_allowed(name: str, boundary: str, other_boundary: str) -> bool:
    """Whether a record protocol may run between two boundaries (SPEC.md 6.2, REC-7)."""
    return boundary == other_boundary != "" or name in ENCRYPTING_RECORD_PROTOCOLS
