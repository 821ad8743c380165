"""Forgetting the peer: what `alts` keeps of a peer for the whole process, and how a loop empties it.

Two workloads that meet in a benchmark a thousand times know each other better than two that never met.
"""

from __future__ import annotations

from alts import _key_schedule, _messages, _tickets, _trust

FORGOTTEN = (
    _key_schedule._static_key,  # its key as the library has it
    _key_schedule._identities,  # its identity, encoded
    _tickets._ends,  # who it is, out of a ticket
)
"""Cached functions whose arguments come from the peer."""
KEPT = (
    _messages._varint,  # numbers
    _messages.answer_fields,  # of negotiated names and sizes, alike for most peers
    _tickets._associated_data,  # of the own identity
)
"""Cached functions that an unknown peer finds warm at an endpoint that has served others."""


def forget_peers(policies: tuple[_trust.Policy, ...] = ()) -> None:
    """Empty every memory of peers that `alts` keeps for the process.

    Args:
        policies: that keep answers; these are emptied, too.
    """
    for function in FORGOTTEN:
        function.cache_clear()
    _messages._OFFERS.clear()
    _messages._ANSWERS.clear()
    _trust._PARSED.clear()  # its certificate, decoded and checked but for signatures
    for policy in policies:
        policy._answers.clear()
