"""What the handshake messages say once they are decoded; `_messages` makes and checks these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

RpcVersions = tuple[tuple[int, int], tuple[int, int]]
"""Smallest and largest (major, minor)."""


class Ticket(NamedTuple):
    """A ticket on the wire, presented or issued; a presented one has no lifetime."""

    resumption_id: bytes
    key_epoch: int
    ticket: bytes
    lifetime_seconds: int = 0


Presented = tuple[bytes, int, bytes]
"""Resumption ID, key epoch and ticket, of a ticket as it goes back to its maker."""


class Offer(NamedTuple):
    """A ClientInit without its nonce and its ticket."""

    certificate: bytes
    handshake_ciphers: tuple[str, ...]
    record_protocols: tuple[str, ...]
    key_shares: Mapping[str, bytes]
    application_protocols: tuple[str, ...]
    rpc_versions: RpcVersions
    max_frame_size: int
    resumption_id: bytes
    ticket_key_epochs: tuple[int, ...]


class Answer(NamedTuple):
    """A ServerInit without its nonce."""

    mode: int
    certificate: bytes
    handshake_cipher: str
    record_protocol: str
    application_protocol: str
    rpc_versions: RpcVersions
    max_frame_size: int
    key_share: bytes
    ticket: Ticket | None
