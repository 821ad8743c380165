"""Resumption keys that callers make from a mapping of their own."""

from __future__ import annotations

import pickle

import pytest

from alts import Resumption, ResumptionKeys
from tests.impl.pair import Pair


@pytest.mark.req("CRED-3")
def test_resumption_keys_do_not_change_with_the_callers_mapping() -> None:
    given = {1: b"1" * 32}
    keys = ResumptionKeys(b"I" * 16, given)
    given[2] = b"2" * 32
    assert (dict(keys.keys), keys.epochs, keys.newest) == ({1: b"1" * 32}, [1], 1)
    del given[1]
    assert (dict(keys.keys), keys.epochs, keys.newest) == ({1: b"1" * 32}, [1], 1)
    again = pickle.loads(pickle.dumps(keys))
    assert again == keys
    assert again.client_init == keys.client_init


@pytest.mark.req("CRED-3", "RES-3")
def test_a_mapping_that_changes_breaks_no_resumption() -> None:
    given = {1: b"s" * 32}
    server = Resumption(ResumptionKeys(b"S" * 16, given))
    client = Resumption(ResumptionKeys(b"C" * 16, {1: b"c" * 32}))
    pair = Pair(client={"resumption": client}, server={"resumption": server})
    del given[1]
    pair.handshake()
    assert pair.client.state == pair.server.state == "OPEN"
