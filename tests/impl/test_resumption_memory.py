"""What a maker remembers of used secrets: for as long as their tickets live, and at no price when it is full (12.7)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from alts import Configuration, Resumption, UsedSecretsInMemory
from tests.impl.test_resumption import World, resumption, without_keys

if TYPE_CHECKING:
    from collections.abc import ItemsView

HOUR = 3600


class Walked(dict[bytes, int]):
    """Counts how often all that is remembered is gone through."""

    walks = 0

    def items(self) -> ItemsView[bytes, int]:  # type: ignore[override]  # dict_items cannot be named
        self.walks += 1
        return super().items()


@pytest.mark.req("RES-7")
def test_a_full_memory_does_not_look_for_room_before_there_can_be_any() -> None:
    """Else whoever fills it makes every later handshake pay for all that is in it."""
    memory = UsedSecretsInMemory(50)
    names = (number.to_bytes(32, "big") for number in range(1000))
    assert all(memory.first_use(next(names), 100 + number, 1) for number in range(50))
    assert not memory.first_use(next(names), 200, 1)
    memory._used = walked = Walked(memory._used)
    assert not any(memory.first_use(next(names), 200, now) for now in range(1, 100) for _ in range(3))
    assert walked.walks == 0
    assert memory.first_use(next(names), 120, 100)  # the first of them is over, and makes room for one
    assert walked.walks == 1
    assert not memory.first_use(next(names), 200, 100)
    assert [memory.first_use(next(names), 200, 121) for _ in range(23)] == [True] * 22 + [False]


class Noting(UsedSecretsInMemory):
    """Notes until when it was to remember."""

    def __init__(self) -> None:
        super().__init__()
        self.until: list[int] = []

    def first_use(self, secret: bytes, expires: int, now: int) -> bool:
        self.until.append(expires)
        return super().first_use(secret, expires, now)


def noting(configuration: Configuration) -> tuple[Configuration, Noting]:
    used = Noting()
    return dataclasses.replace(configuration, resumption=Resumption(resumption(configuration).keys, used=used)), used


@pytest.mark.req("RES-7", "RES-2")
def test_a_used_secret_is_remembered_until_its_ticket_is_over_and_no_longer() -> None:
    """24 hours from its making, 48 from the last full handshake, a certificate's end: whichever is first (12.5)."""
    world = World()
    world.server, used = noting(world.server)
    start = world.now
    modes = []
    for _ in range(3):
        modes.append(world.mode())
        world.now += 20 * HOUR
    assert modes == ["full", "client_ticket", "client_ticket"]
    assert used.until == [start + 24 * HOUR, start + 44 * HOUR]
    world.now = start + 45 * HOUR
    assert world.mode() == "client_ticket"  # made after 40 hours
    assert used.until[-1] == start + 48 * HOUR


@pytest.mark.req("RES-7", "ISSUE-5")
@pytest.mark.parametrize("maker", ["client", "server"])
def test_a_used_secret_is_remembered_no_longer_than_the_certificates_last(maker: str) -> None:
    """The client is human; its certificate is the maker's or the holder's."""
    world = World()
    human = dataclasses.replace(world.client, credential=world.realm.human("corp/ann"))
    if maker == "client":
        (client, used), server = noting(human), without_keys(world.server)
    else:
        client, (server, used) = without_keys(human), noting(world.server)
    for _ in range(2):
        world.run(client, server)
    end = human.credential.peer.not_after
    assert 0 < end < world.now + 24 * HOUR
    assert used.until == [end]
