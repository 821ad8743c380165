"""The four handshake ciphers over bytes (SPEC.md 7.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

from alts_model import CIPHERS, HYBRID, KCI, PFS, STATIC, ConcreteEndpoint, ConfigurationError, Randomness
from alts_model.primitives import (
    hkdf_extract,
    ml_kem_768_decapsulate,
    ml_kem_768_encapsulate,
    ml_kem_768_key_is_sound,
    ml_kem_768_keys,
    x25519,
    x25519_public,
)
from alts_schema import handshake_pb2
from tests.model.edits import add_share, checked, put
from tests.model.helpers import edited, split_frames
from tests.model.resuming import ALL, BACKEND, FRONTEND, REALM, connect, process

EPHEMERAL = [PFS, KCI, HYBRID]
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def pair(cipher: str, **changes: Any) -> tuple[ConcreteEndpoint, ConcreteEndpoint]:
    ends = process(FRONTEND, makes=False, holds=False), process(BACKEND, makes=False, holds=False)
    return ends[0].client(handshake_ciphers=(cipher,), **changes), ends[1].server()


@pytest.mark.req("HS-1", "HS-5", "HS-10", "TRADE-2")
@pytest.mark.parametrize("cipher", ALL)
def test_key_material_written_out_by_hand(cipher: str) -> None:
    """Every term again from the injected private values, in the order of the specification."""
    one, other = pair(cipher)
    assert connect(one, other).handshake_cipher == cipher
    values = one.secrets.values
    client, server = one._local.party, other._local.party
    client_static, server_static = FRONTEND.credential.private_key, BACKEND.credential.private_key
    ec, es = client.randomness.x25519[0], server.randomness.x25519[0]
    K, ciphertext = ml_kem_768_encapsulate(
        ml_kem_768_keys(client.randomness.ml_kem_seeds[0])[0], server.randomness.encapsulations[0]
    )
    terms = {
        "ss": x25519(client_static, x25519_public(server_static)),
        "es": x25519(ec, x25519_public(server_static)),
        "se": x25519(es, x25519_public(client_static)),
        "ee": x25519(ec, x25519_public(es)),
        "K": K,
    }
    order = {STATIC: ["ss"], PFS: ["ss", "ee"], KCI: ["ss", "es", "se", "ee"], HYBRID: ["ss", "ee", "K"]}[cipher]
    assert {name: values[name] for name in order} == {name: terms[name] for name in order}
    assert not {"ss", "es", "se", "ee", "K"} - set(order) & set(values)
    assert values["shared_secret"] == b"".join(terms[name] for name in order)
    assert values["prk"] == hkdf_extract(b"openalts v1 handshake", values["shared_secret"])
    server_init = handshake_pb2.ServerInit.FromString(values["server_init"])
    expected = {STATIC: b"", HYBRID: x25519_public(es) + ciphertext}.get(cipher, x25519_public(es))
    assert server_init.key_share == expected
    assert values == other.secrets.values


@pytest.mark.req("HS-10", "TRUST-7")
def test_shares_are_offered_in_order_and_taken_from_the_queues() -> None:
    one = process(FRONTEND).client(handshake_ciphers=(HYBRID, STATIC, KCI, PFS))
    message = handshake_pb2.ClientInit.FromString(one.start()[8:])
    randomness = one._local.party.randomness
    key = ml_kem_768_keys(randomness.ml_kem_seeds[0])[0]
    x, y, z = map(x25519_public, randomness.x25519)
    assert [(share.handshake_cipher, share.share) for share in message.key_shares] == [
        (HYBRID, x + key),
        (KCI, y),
        (PFS, z),
    ]


@pytest.mark.req("HS-4", "TRUST-7")
def test_the_clients_order_decides() -> None:
    for order in ((PFS, STATIC), (STATIC, PFS), (KCI, HYBRID, PFS)):
        one = process(FRONTEND).client(handshake_ciphers=order)
        assert connect(one, process(BACKEND).server()).handshake_cipher == order[0]
    one = process(FRONTEND).client(handshake_ciphers=(KCI, HYBRID, PFS))
    assert connect(one, process(BACKEND).server(handshake_ciphers=(PFS, HYBRID))).handshake_cipher == HYBRID


def at_server(cipher: str, edit: Any) -> str:
    one, other = pair(cipher)
    return checked(other, other.receive(edited(one.start(), edit))).name


def share_edit(change: Any) -> Any:
    def edit(message: Any) -> None:
        if isinstance(message, handshake_pb2.ServerInit):
            message.key_share = change(message.key_share)
        else:
            message.key_shares[0].share = change(message.key_shares[0].share)

    return edit


@pytest.mark.req("HS-1", "HS-10")
@pytest.mark.parametrize("cipher", EPHEMERAL)
@pytest.mark.parametrize("point", LOW_ORDER)
def test_low_order_points_are_refused(cipher: str, point: bytes) -> None:
    edit = share_edit(lambda share: point + share[32:])
    assert at_server(cipher, edit) == "BAD_KEY_SHARE"
    one, other = pair(cipher)
    server_init = split_frames(other.receive(one.start()).output)[0]
    assert checked(one, one.receive(edited(server_init, edit))).name == "BAD_KEY_SHARE"


@pytest.mark.req("HS-1", "HS-3", "HS-6")
@pytest.mark.parametrize("cipher", EPHEMERAL)
def test_wrong_sizes_are_illegal(cipher: str) -> None:
    for change in (lambda share: share[:-1], lambda share: share + b"x"):
        assert at_server(cipher, share_edit(change)) == "ILLEGAL_PARAMETER"
        one, other = pair(cipher)
        server_init = split_frames(other.receive(one.start()).output)[0]
        assert checked(one, one.receive(edited(server_init, share_edit(change)))).name == "ILLEGAL_PARAMETER"
    assert at_server(cipher, lambda message: message.ClearField("key_shares")) == "ILLEGAL_PARAMETER"
    assert at_server(STATIC, add_share(STATIC, bytes(32))) == "ILLEGAL_PARAMETER"
    one, other = pair(cipher)
    server_init = split_frames(other.receive(one.start()).output)[0]
    assert checked(one, one.receive(edited(server_init, put(key_share=b"")))).name == "ILLEGAL_PARAMETER"


@pytest.mark.req("HS-10")
def test_the_modulus_check() -> None:
    key = ml_kem_768_keys(bytes(64))[0]
    assert ml_kem_768_key_is_sound(key)
    for position, three in ((0, 3329), (381, 3329 << 12), (1149, 0xFFFFFF)):
        bad = key[:position] + three.to_bytes(3, "little") + key[position + 3 :]
        assert not ml_kem_768_key_is_sound(bad)
        assert at_server(HYBRID, share_edit(lambda share, bad=bad: share[:32] + bad)) == "BAD_KEY_SHARE"
    largest = (3328 | 3328 << 12).to_bytes(3, "little")
    assert ml_kem_768_key_is_sound(largest * 384 + bytes(32))


@pytest.mark.req("HS-8", "HS-10")
def test_a_wrong_ciphertext_shows_as_a_bad_finished() -> None:
    one, other = pair(HYBRID)
    first, second = split_frames(other.receive(one.start()).output)
    changed = edited(first, share_edit(lambda share: share[:-1] + bytes((share[-1] ^ 1,))))
    assert one.receive(changed).events == ()
    assert checked(one, one.receive(second)).name == "BAD_FINISHED"
    assert one.secrets.values["K"] != other.secrets.values["K"]
    seed = bytes(range(64))
    assert len(ml_kem_768_decapsulate(seed, bytes(1088))) == 32


@pytest.mark.req("HS-10")
def test_ml_kem_agrees_with_another_library() -> None:
    seed = bytes(range(64))
    key, _ = ml_kem_768_keys(seed)
    secret, ciphertext = ml_kem_768_encapsulate(key, bytes(32))
    other = MLKEM768PrivateKey.from_seed_bytes(seed)
    assert other.public_key().public_bytes_raw() == key
    assert other.decapsulate(ciphertext) == secret == ml_kem_768_decapsulate(seed, ciphertext)
    wrong = bytes(1088)
    assert other.decapsulate(wrong) == ml_kem_768_decapsulate(seed, wrong)
    secret, ciphertext = other.public_key().encapsulate()
    assert ml_kem_768_decapsulate(seed, ciphertext) == secret


@pytest.mark.req("HS-4")
def test_a_cipher_must_be_in_both_certificates() -> None:
    modest = REALM.issue("prod/modest", handshake_ciphers=(STATIC,))
    one = process(FRONTEND).client(handshake_ciphers=(PFS, STATIC))
    stranger = replace(
        process(FRONTEND).configuration(handshake_ciphers=(STATIC,), resumption=None), credential=modest.credential
    )
    message = one.start()
    swapped = edited(message, put(certificate=modest.credential.certificate))
    other = process(BACKEND).server()
    assert checked(other, other.receive(swapped)).name == "ILLEGAL_PARAMETER"
    assert connect(ConcreteEndpoint("client", stranger), process(BACKEND).server()).handshake_cipher == STATIC
    with pytest.raises(ConfigurationError):
        ConcreteEndpoint("client", replace(stranger, handshake_ciphers=(PFS,)))


@pytest.mark.parametrize(
    "randomness",
    [
        Randomness(),
        Randomness((bytes(31),) * 3, (bytes(64),), (bytes(32),), (bytes(32),)),
        Randomness((bytes(32),) * 2, (bytes(64),), (bytes(32),), (bytes(32),)),
        Randomness((bytes(32),) * 3, (), (bytes(32),), (bytes(32),)),
        Randomness((bytes(32),) * 3, (bytes(64),), (bytes(32),), ()),
    ],
)
def test_too_little_randomness_is_misuse(randomness: Randomness[bytes]) -> None:
    with pytest.raises(ConfigurationError, match="randomness"):
        process(FRONTEND).client(handshake_ciphers=ALL, randomness=randomness)


def test_the_table_of_ciphers() -> None:
    assert [(cipher.client_share, cipher.server_share) for cipher in CIPHERS.values()] == [
        (0, 0),
        (32, 32),
        (32, 32),
        (1216, 1120),
    ]
    assert [cipher.resumable for cipher in CIPHERS.values()] == [True, True, False, True]
    assert CIPHERS[HYBRID].material(True) == ("secret", "ee", "K")
