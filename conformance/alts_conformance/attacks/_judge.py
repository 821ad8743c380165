"""What is common to attacks that pose as somebody towards a server: the evidence at the server, and its signs."""

from __future__ import annotations

from collections.abc import Sequence

from ._record import Outcome
from ._stage import Belief, Endpoint, Stage
from ._wheel import WheelServer


def told(belief: Belief) -> str:
    """A session as one end saw it, in words that go on after "authenticated"."""
    how = ", ".join(filter(None, (belief.mode, belief.cipher, belief.issuer and f"certified by {belief.issuer}")))
    received = " and ".join(map(repr, belief.payloads)) or "no payload"
    return f"{belief.peer} ({how}) and received {received}"


def tell(stage: Stage, server: Endpoint | WheelServer, sessions: Sequence[Belief]) -> None:
    """Put down as evidence what a server believed beyond the controls."""
    for belief in sessions:
        stage.finds(f"{server.identity} authenticated {told(belief)}")
    if not sessions and isinstance(server, WheelServer):
        stage.finds(f"beyond the controls no call came to the application of {server.identity}, from anybody")
    elif not sessions:
        stage.finds(f"beyond the controls {server.identity} authenticated nobody and received nothing")


async def impersonation(
    stage: Stage, server: Endpoint | WheelServer, whom: str, order: bytes, answer: bytes | None, **more: bool
) -> Outcome:
    """Judge an attacker that posed as `whom`, sent `order`, and had `answer` (None: it could read none).

    Each sign is evidence by itself: a server may have a session in which it can open nothing, or take the order and
    answer so that the attacker cannot read it. `more` are signs of this attack alone.
    """
    sessions = await server.new_beliefs()
    tell(stage, server, sessions)
    wanted = order if isinstance(server, WheelServer) else server.answer
    if read := answer is not None and wanted in answer:
        stage.finds(f"the attacker read the answer that was meant for {whom}")
    return stage.verdict(
        the_victim_authenticated_somebody=bool(sessions),
        it_authenticated_the_impersonated=any(belief.peer == whom for belief in sessions),
        it_received_the_order=any(order in belief.payloads for belief in sessions),
        the_attacker_read_the_answer=read,
        **more,
    )
