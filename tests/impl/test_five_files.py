"""The claim of the README: one ClientInit can be followed from socket to key in five files."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import alts
from tests.impl.pair import Pair

if TYPE_CHECKING:
    from types import FrameType

PACKAGE = Path(alts.__file__).parent
FIVE = {"_connection.py", "_handshake.py", "_messages.py", "_trust.py", "_key_schedule.py"}
README = Path(__file__).parents[2] / "README.md"


@pytest.mark.req("HS-2", "TRUST-8")
def test_no_other_module_runs_between_socket_and_key() -> None:
    pair = Pair()
    ran: set[str] = set()

    def trace(frame: FrameType, event: str, argument: object) -> None:
        del argument
        name = Path(frame.f_code.co_filename)
        if event == "call" and name.parent == PACKAGE:
            ran.add(name.name)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        pair.client.start()
        sys.setprofile(trace)
        try:
            theirs.sendall(pair.client.data_to_send())
            pair.server.receive_data(ours.recv(1 << 16))
            ours.sendall(pair.server.data_to_send())
            pair.client.receive_data(theirs.recv(1 << 16))
            theirs.sendall(pair.client.data_to_send())
            pair.server.receive_data(ours.recv(1 << 16))
        finally:
            sys.setprofile(None)
    assert pair.client.result is not None
    assert pair.server.result is not None
    assert pair.client.result.record_secret == pair.server.result.record_secret
    assert ran == FIVE


def test_the_readme_names_these_five() -> None:
    block = re.search(r"<!-- begin: five-files -->(.*?)<!-- end: five-files -->", README.read_text(), re.DOTALL)
    assert block
    assert set(re.findall(r"^\d\. \[`impl/alts/(_\w+\.py)`\]", block[1], re.MULTILINE)) == FIVE
