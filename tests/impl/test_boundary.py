"""Physical boundaries: across them only what encrypts may be chosen, and both ends see to it (REC-7, SPEC 6.2).

Every record protocol of this version encrypts. Here the one that there is stands in for one that does not.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alts import Credential, ErrorCode, Realm, _handshake
from tests.impl.pair import CLIENT, SERVER, Pair, code

pytestmark = pytest.mark.req("REC-7")
Make = Callable[[Realm], Credential]


@pytest.fixture
def nothing_encrypts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_handshake, "ENCRYPTING_RECORD_PROTOCOLS", frozenset())


def at(identity: str, boundary: str) -> Make:
    return lambda realm: realm.workload(identity, boundary=boundary)


def pair(client: str, server: str) -> Pair:
    return Pair(client={"credential": at(CLIENT, client)}, server={"credential": at(SERVER, server)})


APART = [("site-1", "site-2"), ("site-1", ""), ("", "site-1"), ("", ""), ("site-1", "Site-1")]


@pytest.mark.usefixtures("nothing_encrypts")
def test_inside_one_boundary_integrity_alone_may_be_chosen() -> None:
    made = pair("site-1", "site-1")
    made.handshake()
    assert made.client.state == made.server.state == "OPEN"


@pytest.mark.usefixtures("nothing_encrypts")
@pytest.mark.parametrize(("client", "server"), APART)
def test_across_boundaries_the_server_does_not_choose_it(client: str, server: str) -> None:
    at_client, at_server = pair(client, server).handshake()
    assert code(at_server) == ErrorCode.NO_COMMON_RECORD_PROTOCOL
    assert code(at_client) == ErrorCode.PEER_ALERT


@pytest.mark.parametrize(("client", "server"), APART)
def test_a_client_refuses_a_server_that_chooses_it_all_the_same(
    client: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pair(client, server)
    made.client.start()
    made.server.receive_data(made.client.data_to_send())  # a server that takes it for encrypting
    monkeypatch.setattr(_handshake, "ENCRYPTING_RECORD_PROTOCOLS", frozenset())
    assert code(made.client.receive_data(made.server.data_to_send())) == ErrorCode.INSUFFICIENT_PROTECTION


@pytest.mark.parametrize(("client", "server"), APART)
def test_what_encrypts_is_good_enough_anywhere(client: str, server: str) -> None:
    made = pair(client, server)
    made.handshake()
    assert made.client.state == made.server.state == "OPEN"
