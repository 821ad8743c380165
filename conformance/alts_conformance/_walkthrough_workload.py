"""A workload of the walk-through: a gRPC service that authorises its callers by identity, in a process of its own.

It knows nothing of keys: it is told where its node agent puts its credential, and serves (TRUST-6, CRED-6).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpclib.client
import grpclib.const
import grpclib.exceptions
import grpclib.server
from google.protobuf.wrappers_pb2 import StringValue

from alts import PeerViolation, Resumption
from alts.grpclib_adapter import negotiated_of, peer_of, serve
from alts.services import FileHolder

if TYPE_CHECKING:
    from collections.abc import Sequence

METHOD = "/openalts.walkthrough.v1.Orders/Ask"


class Orders:
    """Answers those whom it knows by identity, and says how it came to know them (TRUST-5)."""

    def __init__(self, name: str, allowed: frozenset[str]) -> None:
        self._name = name
        self._allowed = allowed

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        """As grpclib wants it."""
        cardinality = grpclib.const.Cardinality.UNARY_UNARY
        return {METHOD: grpclib.const.Handler(self._ask, cardinality, StringValue, StringValue)}

    async def _ask(self, stream: grpclib.server.Stream[StringValue, StringValue]) -> None:
        await stream.recv_message()
        peer = peer_of(stream)
        if peer.identity not in self._allowed:
            detail = f"{peer.identity} may not ask for orders"
            raise grpclib.exceptions.GRPCError(grpclib.const.Status.PERMISSION_DENIED, detail)
        answer = {"replica": self._name, "caller": peer.identity, "mode": negotiated_of(stream).mode}
        await stream.send_message(StringValue(value=json.dumps(answer)))


async def ask(channel: grpclib.client.Channel) -> dict[str, Any]:
    """Make a call. Raises what grpclib and the handshake raise."""
    stub: grpclib.client.UnaryUnaryMethod[StringValue, StringValue] = grpclib.client.UnaryUnaryMethod(
        channel, METHOD, StringValue, StringValue
    )
    answer = await stub(StringValue(value="orders"), timeout=20.0)
    found: dict[str, Any] = json.loads(answer.value)
    return found


async def _main(name: str, credential: Path, trust: Path, allowed: Sequence[str]) -> None:
    holder = FileHolder(credential, trust, time.time, Resumption())

    def refused(error: Exception, peername: Any) -> None:
        code = error.code.name if isinstance(error, PeerViolation) else type(error).__name__
        print(json.dumps({"refused": code}), flush=True)

    orders = Orders(name, frozenset(allowed))
    server = await serve([orders], "127.0.0.1", 0, configuration=holder, on_handshake_failure=refused)
    print(json.dumps({"ready": True, "port": server.port, "pid": os.getpid()}), flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()
    await server.wait_closed()


def main() -> int:
    """Entry point: `python -m alts_conformance._walkthrough_workload NAME CREDENTIAL TRUST IDENTITY…`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("credential", type=Path)
    parser.add_argument("trust", type=Path)
    parser.add_argument("allowed", nargs="+")
    args = parser.parse_args()
    asyncio.run(_main(args.name, args.credential, args.trust, args.allowed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
