"""A machine whose connection to the enrolment port is cut asks again, within bounds (SPEC 13.1.6)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alts.services import Machine, RequestRefused, Status, Token, copy_trust
from alts.services import _machine as machine_module
from alts.services.cli import SYSTEM
from alts.services.cli._clear import channel_in_clear
from tests.impl.services_realm import HOST, Realm, realm_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import grpclib.client


@asynccontextmanager
async def cutting(where: tuple[str, int], cuts: list[str]) -> AsyncIterator[tuple[int, list[str]]]:
    """A port before the enrolment port that cuts its first connections: as they come, when asked, when answered."""
    made: list[str] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, whole: bool = True) -> None:
        """To the end; else to where request or answer begin, which are longer than what comes before them."""
        passed = 0
        while (data := await reader.read(4096)) and (whole or (passed := passed + len(data)) < 250):
            writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = cuts[len(made)] if len(made) < len(cuts) else "never"
        made.append(cut)
        if cut == "at once":
            writer.transport.abort()
            return
        there, out = await asyncio.open_connection(*where)
        asking = asyncio.ensure_future(pass_on(reader, out, whole=cut != "when asked"))
        answering = asyncio.ensure_future(pass_on(there, writer, whole=cut != "when answered"))
        await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
        for task in (asking, answering):
            task.cancel()
        await asyncio.gather(asking, answering, return_exceptions=True)
        writer.transport.abort()
        out.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield int(server.sockets[0].getsockname()[1]), made
    finally:
        server.close()


async def ready(realm: Realm) -> tuple[Machine, Token]:
    await realm.signing()
    await realm.crl()
    await realm.ca()
    copy_trust(realm.root / "realm/trust", realm.root / "desk/trust")
    machine = realm.machines["desk"] = Machine(realm.root / "desk", SYSTEM, realm.book)
    return machine, realm.ca_core.add_token("machines/desk")


@pytest.mark.req("ISSUE-6")
@pytest.mark.parametrize("cuts", [["at once"] * 2, ["when asked"] * 3, ["when answered"], ["at once", "when answered"]])
def test_a_machine_that_is_cut_asks_again_and_gets_one_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: list[str]
) -> None:
    monkeypatch.setattr(machine_module, "_ENROL_PAUSE", 0.01)

    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            machine, token = await ready(realm)
            known = len(realm.ca_core.issuing.certificates())
            async with cutting(realm.book.find("enrolment"), cuts) as (port, made):
                await machine.enrol(token, lambda: channel_in_clear(HOST, port))
            assert made == [*cuts, "never"]
            assert machine.identity == "machines/desk"
            assert len(realm.ca_core.issuing.certificates()) == known + 1

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_it_does_not_ask_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "_ENROL_PAUSE", 0.01)

    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            machine, token = await ready(realm)
            async with cutting(realm.book.find("enrolment"), ["at once"] * 20) as (port, made):
                with pytest.raises(OSError):
                    await machine.enrol(token, lambda: channel_in_clear(HOST, port))
                assert len(made) == machine_module.ENROL_ATTEMPTS
                assert machine.agent.master() is None

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_the_address_is_looked_up_anew_and_a_refusal_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "_ENROL_PAUSE", 0.01)

    async def main() -> None:
        async with realm_at(tmp_path) as realm:
            machine, token = await ready(realm)
            asked = 0

            def connect() -> grpclib.client.Channel:
                nonlocal asked
                asked += 1
                if asked < 3:
                    raise ConnectionRefusedError("not in the book yet")
                return channel_in_clear(*realm.book.find("enrolment"))

            unknown = Token(bytes(16), bytes(32), "machines/desk")
            with pytest.raises(RequestRefused) as caught:
                await machine.enrol(unknown, connect)
            assert (caught.value.status, asked) == (Status.UNAUTHENTICATED, 3)
            await machine.enrol(token, connect)
            assert asked == 4

    asyncio.run(main())
