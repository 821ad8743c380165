"""Strangers who hold on: silence, garbage, and many connections at once."""

from __future__ import annotations

import asyncio
from typing import Any

from alts_conformance import CaseRun, Severity, case
from alts_conformance._duel import against_server

SERVER: dict[str, Any] = {"subjects": ("server",), "needs": {"server": ("alts",)}}


@case(
    **SERVER,
    requirements=("HS-2", "REC-3"),
    severity=Severity.HIGH,
    why="A stranger who says nothing must not hold a place for ever.",
    parameters={"after": ("nothing", "half_a_message", "client_init")},
)
async def server_gives_up_on_a_silent_client(run: CaseRun, after: str) -> None:
    """A client that falls silent in the handshake is dropped when the configured time (2 s) is over."""
    opponent, duel = await against_server(run, server_fields={"handshake_timeout": 2})
    hello = opponent.client_init()
    since = duel.mark()
    await opponent.send({"nothing": b"", "half_a_message": hello[:100], "client_init": hello}[after])
    await duel.must_end(since, f"server after silence behind {after}")


@case(
    **SERVER,
    requirements=("HS-2", "REC-3"),
    severity=Severity.HIGH,
    why="Ports are scanned: whatever speaks another protocol gets nothing, and costs little.",
    parameters={"what": ("http", "tls", "http2", "zeros", "ones", "random")},
)
async def server_refuses_what_is_no_handshake(run: CaseRun, what: str) -> None:
    """The first bytes belong to another protocol, or to none; the server ends the connection."""
    opponent, duel = await against_server(run)
    garbage = {
        "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "tls": bytes.fromhex("1603010200010001fc0303") + run.rng.randbytes(400),
        "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"),
        "zeros": bytes(64),
        "ones": b"\xff" * 64,
        "random": b"\xff" + run.rng.randbytes(200),
    }[what]
    since = duel.mark()
    await opponent.send(garbage)
    await duel.must_end(since, f"server after {what}")


@case(
    **SERVER,
    requirements=("TRUST-6", "HS-2"),
    severity=Severity.HIGH,
    why="Half-open handshakes of strangers must not keep others out.",
    parameters={"strangers": (40,)},
    limit=40,
)
async def half_open_handshakes_do_not_keep_others_out(run: CaseRun, strangers: int) -> None:
    """Many connections stop in the middle of ClientInit; a genuine client is served all the same."""
    opponent, duel = await against_server(run)
    hello = opponent.client_init()
    host, port = duel.target
    writers = []
    for _ in range(strangers):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(hello[: len(hello) // 2])
        writers.append(writer)
    await opponent.send(hello)
    await opponent.receive_flight()
    await opponent.send(opponent.client_finished)
    await opponent.honest_call()
    await duel.nothing_delivered(calls=1)
    for writer in writers:
        writer.close()
