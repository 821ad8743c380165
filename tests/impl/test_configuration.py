"""What callers give to `Configuration`: of any kind of sequence, and copied."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from alts import X25519_KCI_SHA256, X25519_STATIC_SHA256, Configuration, ConfigurationError, Resumption, ResumptionKeys
from tests.impl.pair import Pair, open_pair

LISTS: dict[str, Any] = {
    "handshake_ciphers": [X25519_STATIC_SHA256],
    "record_protocols": ["ALTSRP_GCM_AES128_REKEY"],
    "application_protocols": ["grpc", "other"],
    "rpc_versions": [[2, 0], [2, 1]],
}
TUPLES: dict[str, Any] = {
    "handshake_ciphers": (X25519_STATIC_SHA256,),
    "record_protocols": ("ALTSRP_GCM_AES128_REKEY",),
    "application_protocols": ("grpc", "other"),
    "rpc_versions": ((2, 0), (2, 1)),
}


def made(given: dict[str, Any]) -> Configuration:
    pair = Pair()
    return Configuration(pair.realm.workload("prod/frontend"), pair.realm.trust(), **given)


@pytest.mark.req("HS-3", "HS-4")
def test_lists_are_as_good_as_tuples() -> None:
    one, other = made(LISTS), made(TUPLES)
    for name, value in TUPLES.items():
        assert getattr(one, name) == getattr(other, name) == value
    assert one.client_init == other.client_init
    with_lists, with_tuples = (open_pair(client=dict(given), server=dict(given)) for given in (LISTS, TUPLES))
    assert with_lists.client.result == with_tuples.client.result is not None


@pytest.mark.req("HS-3", "HS-4")
def test_a_configuration_does_not_change_with_the_callers_lists() -> None:
    given = copy.deepcopy(LISTS)
    configuration = made(given)
    for name in ("handshake_ciphers", "record_protocols", "application_protocols"):
        given[name].append("later")
    given["rpc_versions"][1][1] = 7
    for name, value in TUPLES.items():
        assert getattr(configuration, name) == value


@pytest.mark.req("HS-3", "TRUST-2")
@pytest.mark.parametrize("what", [*LISTS, "target_identities"])
def test_one_name_is_no_list_of_names(what: str) -> None:
    with pytest.raises(ConfigurationError):
        made({what: "prod"})


@pytest.mark.req("HS-3", "TRUST-2")
@pytest.mark.parametrize("wrong", [b"ab", None, 7, [1], [["x"]], [b"prod/x"]])
@pytest.mark.parametrize(
    "what", ["handshake_ciphers", "record_protocols", "application_protocols", "target_identities"]
)
def test_a_list_of_anything_else_is_no_list_of_names(what: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        made({what: wrong})


@pytest.mark.req("HS-3", "REC-3")
@pytest.mark.parametrize(
    "wrong",
    [
        {"rpc_versions": None},
        {"rpc_versions": ((2, 1.5), (2, 2))},
        {"rpc_versions": ((2, True), (2, 2))},
        {"rpc_versions": ((2, 1), (2, 1), (2, 1))},
        {"rpc_versions": ("21", "22")},
        {"max_frame_size": 16384.0},
        {"max_frame_size": "16384"},
        {"max_frame_size": True},
    ],
)
def test_numbers_are_whole_numbers(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        made(wrong)


@pytest.mark.req("TRUST-2")
def test_other_targets_change_nothing_else() -> None:
    configuration = made({"target_identities": ["prod/backend"]})
    assert configuration.for_targets({"prod/backend"}) is configuration
    other = configuration.for_targets(["prod/other"])
    assert configuration.for_targets(frozenset({"prod/other"})) is other
    for number in range(1000):  # bounded
        assert configuration.for_targets([f"prod/{number}"]).target_identities == {f"prod/{number}"}
    assert len(configuration._for_targets) <= 256
    assert other == dataclasses.replace(configuration, target_identities=frozenset({"prod/other"}))
    assert (other.client_init, other.share_ciphers) == (configuration.client_init, configuration.share_ciphers)
    assert configuration.target_identities == frozenset({"prod/backend"})
    for wrong in ("prod/other", ["prod/*"], [1], None):
        with pytest.raises(ConfigurationError):
            configuration.for_targets(wrong)  # type: ignore[arg-type]  # what callers without types give


@pytest.mark.req("TRUST-2")
def test_target_identities_are_copied() -> None:
    given = {"prod/backend"}
    configuration = made({"target_identities": given})
    given.add("prod/other")
    assert configuration.target_identities == frozenset({"prod/backend"})


@pytest.mark.req("HS-3", "RES-3")
def test_a_client_that_never_resumes_names_no_resumption_id_whatever_the_sequence() -> None:
    for ciphers in ((X25519_KCI_SHA256,), [X25519_KCI_SHA256]):
        keys = ResumptionKeys(b"an ID to look at", {1: bytes(32)})
        pair = Pair(client={"handshake_ciphers": ciphers, "resumption": Resumption(keys)})
        pair.client.start()
        assert b"an ID to look at" not in pair.client.data_to_send()
