"""The enrolment port, which anybody can reach: what a connection brings, how long it lasts, how many there are."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from alts.services import RequestRefused, Service, Status, call
from alts.services.cli import _clear, _meter
from alts.services.cli._meter import PREFACE
from alts_schema.issuance_pb2 import EnrolRequest, EnrolResponse


class Enrolment:
    """Answers every request, and notes how large the largest was."""

    def __init__(self) -> None:
        self.largest = 0
        self.hold: asyncio.Event | None = None
        self.service = Service("Enrolment", {"Enrol": self._enrol}, protected=False)

    async def _enrol(self, request: EnrolRequest, caller: None) -> EnrolResponse:
        self.largest = max(self.largest, request.ByteSize())
        if self.hold is not None:
            await self.hold.wait()
        if request.token_id == b"no":
            raise RequestRefused(Status.UNAUTHENTICATED, "no")
        return EnrolResponse(mac=request.mac)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Enrolment, _clear._Server, int]]:
    enrolment = Enrolment()
    server, port = await _clear.serve_in_clear(enrolment.service, "127.0.0.1", 0)
    assert isinstance(server, _clear._Server)
    try:
        yield enrolment, server, port
    finally:
        server.close()
        await server.wait_closed()


async def ask(port: int, request: EnrolRequest) -> EnrolResponse:
    channel = _clear.channel_in_clear("127.0.0.1", port)
    try:
        answer = await call(channel, "Enrolment", "Enrol", request, 10.0)
    finally:
        channel.close()
    assert isinstance(answer, EnrolResponse)
    return answer


@pytest.mark.req("ISSUE-6")
def test_requests_are_answered_and_refused_as_usual() -> None:
    async def main() -> None:
        async with serving() as (_, server, port):
            assert (await ask(port, EnrolRequest(mac=b"m" * 32))).mac == b"m" * 32
            with pytest.raises(RequestRefused, match="UNAUTHENTICATED"):
                await ask(port, EnrolRequest(token_id=b"no"))
            await gone(server)

    asyncio.run(main())


async def gone(server: _clear._Server) -> None:
    async with asyncio.timeout(10):
        while server.open:  # noqa: ASYNC110  # a dict has no event
            await asyncio.sleep(0.01)


async def read_to_the_end(reader: asyncio.StreamReader) -> None:
    """Raises ConnectionError or IncompleteReadError when the other side has cut."""
    while True:
        await reader.readexactly(1)


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send frames of an unknown type, which HTTP/2 has receivers ignore, until the other side cuts."""
    for _ in range(4 * _meter.CONNECTION_BYTES // 1000):
        writer.write(struct.pack(">I", 1000)[1:] + bytes([0xFA, 0]) + struct.pack(">I", 0) + bytes(1000))
        await writer.drain()
        await asyncio.sleep(0)
    await read_to_the_end(reader)


@pytest.mark.req("ISSUE-6")
def test_a_connection_that_brings_too_much_is_cut_and_never_reaches_the_service() -> None:
    async def main() -> None:
        async with serving() as (enrolment, server, port):
            with pytest.raises((ConnectionError, RequestRefused, OSError)):
                await ask(port, EnrolRequest(nonce=bytes(_meter.CONNECTION_BYTES)))
            assert enrolment.largest == 0
            await gone(server)
            assert (await ask(port, EnrolRequest(mac=b"x"))).mac == b"x", "others are served"

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_what_is_announced_is_not_waited_for_without_end() -> None:
    """A message of 4 GiB, a little at a time: the connection ends at its bound, whatever was announced."""

    async def main() -> None:
        async with serving() as (enrolment, server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            settings = struct.pack(">I", 0)[1:] + bytes([4, 0]) + struct.pack(">I", 0)
            writer.write(PREFACE + settings)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await trickle(reader, writer)
            assert enrolment.largest == 0
            await gone(server)
            writer.close()

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_silent_connections_end_and_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(_clear, "MOST_CONNECTIONS", 3)

    async def main() -> None:
        async with serving() as (_, server, port):
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            assert len(server.open) <= 3
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await read_to_the_end(opened[-1][0])  # past the settings, if it was let in
            await gone(server)
            assert (await ask(port, EnrolRequest(mac=b"y"))).mac == b"y"
            for _, writer in opened:
                writer.close()

    asyncio.run(main())


class Wire(asyncio.Transport):
    """Notes that it was aborted; says so to nobody, as a loop does not before its next turn."""

    def __init__(self, host: str | None, port: int = 0) -> None:
        super().__init__({"peername": None if host is None else (host, port)})
        self._aborted = False

    def abort(self) -> None:
        self._aborted = True

    def cut(self) -> bool:
        return self._aborted


class Timer(asyncio.TimerHandle):
    """A call of a clock that the test moves."""

    def __init__(self, when: float, call: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(when, call, (), loop)
        self.call = call


class Port:
    """Connections to the enrolment port, without a network, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.open: dict[_clear._Bounded, None] = {}
        self.ended: list[asyncio.Protocol] = []
        self._timers: list[Timer] = []
        self._loop = asyncio.new_event_loop()
        self._loop.close()  # handles want one, and use it for nothing here

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self._timers.append(Timer(self.now + seconds, call, self._loop))
        return self._timers[-1]

    def connect(self, host: str | None) -> tuple[_clear._Bounded, Wire]:
        one, wire = _clear._Bounded(asyncio.Protocol, self.open, self.later, self.ended.append), Wire(host)
        one.connection_made(wire)
        return one, wire

    def until(self, seconds: float) -> None:
        self.now = seconds
        for timer in self._timers:
            if timer.when() <= self.now and not timer.cancelled():
                timer.cancel()
                timer.call()


A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


@pytest.mark.req("ISSUE-6")
@pytest.mark.parametrize("sent", [[], [b"P", b"R", b"I"], [PREFACE], [PREFACE, b"\0", b"\0"]])
def test_what_sends_no_whole_request_is_waited_for_a_short_time(sent: list[bytes]) -> None:
    port = Port()
    one, wire = port.connect(A)
    for second in range(5):
        port.until(second)
        if sent:
            one.data_received(sent.pop(0))
        assert not wire.cut()
    port.until(_clear.REQUEST_SECONDS)
    assert wire.cut()


@pytest.mark.req("ISSUE-6")
def test_work_on_a_request_takes_its_time_and_the_next_one_is_waited_for_anew() -> None:
    port = Port()
    one, wire = port.connect(A)
    port.until(4)
    one.begin()
    one.begin()  # two requests at once
    port.until(20)
    one.end()
    port.until(26)
    assert not wire.cut(), "the other is still worked on"
    one.end()
    port.until(_clear.CONNECTION_SECONDS)
    assert wire.cut(), "there is an end to every connection"
    other, second = port.connect(A)
    other.begin()
    other.end()
    port.until(port.now + _clear.REQUEST_SECONDS)
    assert second.cut()
    third, gone = port.connect(B)
    third.begin()
    third.connection_lost(None)
    third.end()
    port.until(1000)
    assert not gone.cut(), "nothing is left to do for a connection that has gone"


@pytest.mark.req("ISSUE-6")
def test_one_address_shuts_out_nobody_but_itself() -> None:
    """It may say what it likes: each of its connections beyond its share costs it one, the oldest."""
    port = Port()
    wires = []
    for number in range(200):
        one, wire = port.connect(A)
        one.data_received(b"PRI" if number % 2 else PREFACE)
        wires.append(wire)
    assert [wire.cut() for wire in wires] == [True] * (200 - _clear.MOST_OF_ONE_ADDRESS) + [False] * 16
    others = [port.connect(f"192.0.2.{number}")[1] for number in range(100, 148)]
    assert not any(wire.cut() for wire in (*wires[-16:], *others))
    assert len(port.open) == _clear.MOST_CONNECTIONS


@pytest.mark.req("ISSUE-6")
def test_where_all_places_are_taken_the_address_with_most_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "MOST_CONNECTIONS", 6)
    port = Port()
    made = [port.connect(host) for host in (C, A, B, A, B, B)]
    new, wire = port.connect("198.51.100.1")
    assert not wire.cut()
    assert [one[1].cut() for one in made] == [False, False, True, False, False, False]
    made[3][0].begin()
    made[4][0].begin()
    made[5][0].begin()
    assert not port.connect("198.51.100.2")[1].cut()
    assert made[1][1].cut(), "of A, as B's are all worked on"
    assert [one in port.open for one, _ in made] == [True, False, False, True, True, True]
    assert new in port.open


@pytest.mark.req("ISSUE-6")
def test_where_all_are_worked_on_a_new_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(_clear, "MOST_OF_ONE_ADDRESS", 2)
    port = Port()
    made = [port.connect(host) for host in (A, A, B)]
    for one, _ in made:
        one.begin()
    for host in (A, B, C):
        one, wire = port.connect(host)
        assert wire.cut()
        assert one not in port.open
        one.connection_lost(None)
    assert not any(wire.cut() for _, wire in made)
    made[0][0].end()
    assert not port.connect(A)[1].cut()
    assert made[0][1].cut()


@pytest.mark.req("ISSUE-6")
@pytest.mark.parametrize(
    ("hosts", "addresses", "networks"),
    [
        (["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "2001:db8:1::1"], [2, 1, 1], [3, 1]),
        (["fe80::1%eth0", "fe80::2%eth0"], [2], [2]),
        (["192.0.2.1", "192.0.2.2"], [1, 1], [1, 1]),
        (["192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"], [2, 1], [2, 1]),
        ([None, None], [2], [2]),
        (["", "unknown"], [2], [2]),
    ],
)
def test_whom_a_connection_counts_for(hosts: list[str | None], addresses: list[int], networks: list[int]) -> None:
    port = Port()
    made = [port.connect(host)[0] for host in hosts]
    assert sorted(Counter(one.address for one in made).values(), reverse=True) == addresses
    assert sorted(Counter(one.network for one in made).values(), reverse=True) == networks


@pytest.mark.req("ISSUE-6")
def test_many_lans_of_one_site_are_one_site() -> None:
    """A /56 has 256 /64s: with one connection each they would have all places, and keep them."""
    port = Port()
    lan, friend = port.connect("2001:db8:0:ffff::1")[1], port.connect(A)[1]
    wires = [port.connect(f"2001:db8:0:{number:x}::1")[1] for number in range(256)]
    assert [wire.cut() for wire in wires] == [True] * (256 - _clear.MOST_OF_ONE_NETWORK) + [False] * 32
    assert (lan.cut(), friend.cut()) == (True, False), "the oldest of its own go"
    others = [port.connect(f"192.0.2.{number}")[1] for number in range(100, 131)]
    assert len(port.open) == _clear.MOST_CONNECTIONS
    assert not any(wire.cut() for wire in (friend, *others))
    assert not port.connect("2001:db8:1::1")[1].cut()
    assert [wire.cut() for wire in wires[-32:]] == [True] + [False] * 31, "the network with most makes room"


@pytest.mark.req("ISSUE-6")
def test_within_a_site_the_lan_with_most_makes_room() -> None:
    port = Port()
    quiet = port.connect("2001:db8:0:1::1")[1]
    loud = [port.connect("2001:db8:0:2::1")[1] for _ in range(16)]
    more = [port.connect("2001:db8:0:3::1")[1] for _ in range(15)]
    assert not any(wire.cut() for wire in (quiet, *loud, *more))
    assert not port.connect("2001:db8:0:4::1")[1].cut()
    assert (quiet.cut(), [wire.cut() for wire in loud]) == (False, [True] + [False] * 15)


@pytest.mark.req("ISSUE-6")
def test_a_burst_of_connections_stays_within_the_bound() -> None:
    port = Port()
    made = [port.connect(f"10.0.{number}.1") for number in range(100)]
    assert list(port.open) == [one for one, _ in made[-_clear.MOST_CONNECTIONS :]]
    assert [wire.cut() for _, wire in made] == [True] * 36 + [False] * 64
    for one, _ in made:
        one.connection_lost(None)
    assert not port.open


@pytest.mark.req("ISSUE-6")
@pytest.mark.parametrize("sent", [b"", b"P", PREFACE])
def test_a_machine_enrols_while_another_holds_all_places_it_can_get(sent: bytes) -> None:
    """Over the network, from the same address even: whatever is sent, short of a request, keeps nobody out."""

    async def main() -> None:
        async with serving() as (_, server, port):
            writers = []
            for _ in range(2 * _clear.MOST_CONNECTIONS):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(sent)
                writers.append(writer)
            assert len(server.open) <= _clear.MOST_OF_ONE_ADDRESS
            assert (await ask(port, EnrolRequest(mac=b"z"))).mac == b"z"
            for writer in writers:
                writer.close()
            await gone(server)

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_a_request_that_is_worked_on_is_never_the_one_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "MOST_OF_ONE_ADDRESS", 3)

    async def main() -> None:
        async with serving() as (enrolment, server, port):
            enrolment.hold = asyncio.Event()
            asked = asyncio.ensure_future(ask(port, EnrolRequest(mac=b"slow")))
            async with asyncio.timeout(10):
                while not any(not one.waited_for for one in server.open):  # noqa: ASYNC110  # a dict has no event
                    await asyncio.sleep(0.01)
            writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(10)]
            assert len(server.open) <= 3
            enrolment.hold.set()
            assert (await asked).mac == b"slow"
            for writer in writers:
                writer.close()
            await gone(server)

    asyncio.run(main())
