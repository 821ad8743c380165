"""What the services log: warnings unasked, nothing that strangers can repeat at will, never a secret."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from alts.services import NodeAgent, RequestRefused, read_bundle
from alts.services.cli._clear import channel_in_clear
from alts_schema.issuance_pb2 import RotateRequest, ScheduleRequest
from tests.impl.aio_tools import until
from tests.impl.services_realm import HOST, PASSWORD, realm_at
from tests.impl.test_services_malformed import REQUEST, said_to
from tests.impl.test_services_processes import Processes

if TYPE_CHECKING:
    from pathlib import Path


def wait_for(log: Path, words: str) -> None:
    end = time.monotonic() + 30
    while words not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)


def port_of(ready: dict[str, Any], name: str) -> int:
    return int(ready["listen"][name].rpartition(":")[2])


def stranger(port: int, data: bytes) -> None:
    """Say something at a port until it is closed there."""
    with socket.create_connection((HOST, port)) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(data)
        while connection.recv(4096):
            pass


@pytest.mark.req("REVOKE-7", "REVOKE-2")
def test_warnings_are_said_unasked_and_strangers_are_not(tmp_path: Path) -> None:
    realm, log = Processes(tmp_path), tmp_path / "ca.log"
    try:
        with log.open("wb") as errors:
            at = "--enter", "--enrol-listen", f"{HOST}:0", "--stale-after", "0.001"
            ready = realm.start("ca", *at, log=errors)
        wait_for(log, "where crl is")
        realm.service("crl")
        wait_for(log, "revocations file 1 is stale")
        before = log.read_text()
        stranger(port_of(ready, "ca"), b"GET / HTTP/1.1\r\n\r\n" * 100)
        nameless = [header for header in REQUEST if header[0] != ":path"]
        with contextlib.suppress(ConnectionError):
            asyncio.run(said_to(port_of(ready, "enrolment"), nameless, b"\0\0\0\0\0"))
    finally:
        assert set(realm.end_all()) == {0}
    assert log.read_text() == before, "nothing about strangers, and nothing twice"
    lines = before.splitlines()
    assert len(lines) == len(set(lines))
    assert all(line.startswith("alts serve ca: ") for line in lines), before


@pytest.mark.req("ISSUE-5", "ISSUE-6", "ISSUE-7")
def test_no_secret_is_in_any_line_of_any_level(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="alts")
    secrets: list[bytes] = [PASSWORD.encode()]

    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            await realm.signing()
            await realm.crl()
            await realm.ca()
            token = realm.ca_core.add_token("machines/node")
            secrets.append(token.token)
            node = await realm.enrol("machines/node", "node")
            again = token.__class__(token.token_id, bytes(32), token.identity)
            with pytest.raises(RequestRefused):
                await node.enrol(again, lambda: channel_in_clear(*realm.book.find("enrolment")))
            await realm.cluster()
            desk = await realm.enrol("machines/desk", "desk")
            person = await realm.login(desk)
            secrets.append(person.private_key.private_bytes_raw())
            secrets.append(node.agent.credential().private_key.private_bytes_raw())
            cluster = realm.as_person(desk, person).remote("ClusterMaster", "cluster-master")
            request = ScheduleRequest(request_id=bytes(16), identity="prod/a", node="machines/node")
            workload = (await cluster.call("Schedule", request)).workload
            folder = tmp_path / "workloads"
            folder.mkdir(mode=0o700)
            realm.background(NodeAgent(folder, node.remote("ClusterMaster", "cluster-master")).loop(0.05))
            await until(lambda: (folder / workload / "credential").exists())
            await cluster.call("Rotate", RotateRequest())
            bundle = read_bundle(folder / workload)
            secrets.extend([bundle.private_key, *(key.key for key in bundle.resumption_keys)])

    asyncio.run(main())
    said = caplog.text
    assert "refused: UNAUTHENTICATED" in said, "it is the log of these services"
    for secret in secrets:
        assert secret.decode("latin-1") not in said
        assert secret.hex() not in said
        assert repr(secret)[2:-1] not in said
