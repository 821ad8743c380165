"""The wrappers of the primitives against published vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_model import primitives


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.req("HS-1")
@pytest.mark.parametrize(
    ("scalar", "point", "product"),
    [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ],
)
def test_x25519_rfc7748_section_5_2(scalar: str, point: str, product: str) -> None:
    assert primitives.x25519(unhex(scalar), unhex(point)) == unhex(product)


@pytest.mark.req("HS-1")
def test_x25519_rfc7748_section_6_1() -> None:
    alice = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    shared = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert primitives.x25519_public(alice).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert primitives.x25519_public(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert primitives.x25519(alice, primitives.x25519_public(bob)) == shared
    assert primitives.x25519(bob, primitives.x25519_public(alice)) == shared


@pytest.mark.req("HS-1")
@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_x25519_of_a_low_order_point_is_zero(point: bytes) -> None:
    assert primitives.x25519(b"\x42" * 32, point) == bytes(32)


ED25519 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
            "be24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430"
            "2aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716e"
            "d28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.req("CRED-4")
@pytest.mark.parametrize(("seed", "public", "message", "signature"), ED25519)
def test_ed25519_rfc8032_section_7_1(seed: str, public: str, message: str, signature: str) -> None:
    assert primitives.ed25519_public(unhex(seed)) == unhex(public)
    assert primitives.ed25519_sign(unhex(seed), unhex(message)) == unhex(signature)
    assert primitives.ed25519_verify(unhex(public), unhex(message), unhex(signature))
    assert not primitives.ed25519_verify(unhex(public), unhex(message) + b"x", unhex(signature))


@pytest.mark.req("CRED-4")
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=8), st.binary(min_size=60, max_size=66))
def test_ed25519_never_raises_on_garbage(public: bytes, message: bytes, signature: bytes) -> None:
    assert not primitives.ed25519_verify(public, message, signature)


@pytest.mark.req("HS-5")
@pytest.mark.parametrize(
    ("material", "salt", "info", "prk", "output"),
    [
        (
            "0b" * 22,
            bytes(range(13)).hex(),
            bytes(range(0xF0, 0xFA)).hex(),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)).hex(),
            bytes(range(0x60, 0xB0)).hex(),
            bytes(range(0xB0, 0x100)).hex(),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            (
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f"
                "09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
            ),
        ),
        (
            "0b" * 22,
            "",
            "",
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_hkdf_rfc5869_appendix_a(material: str, salt: str, info: str, prk: str, output: str) -> None:
    extracted = primitives.hkdf_extract(unhex(salt), unhex(material))
    assert extracted.hex() == prk
    assert primitives.hkdf_expand(extracted, unhex(info), len(output) // 2).hex() == output


def test_hkdf_refuses_more_than_it_has() -> None:
    assert len(primitives.hkdf_expand(bytes(32), b"", 8160)) == 8160
    with pytest.raises(ValueError, match="8160"):
        primitives.hkdf_expand(bytes(32), b"", 8161)


KEY = "feffe9928665731c6d6a8f9467308308"
NONCE = "cafebabefacedbaddecaf888"
PLAIN = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
    "ba637b391aafd255"
)
SEALED = (
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac97"
    "3d58e091473f5985"
)


@pytest.mark.req("REC-6")
@pytest.mark.parametrize(
    ("key", "nonce", "plaintext", "aad", "sealed"),
    [
        ("00" * 16, "00" * 12, "", "", "58e2fccefa7e3061367f1d57a4e7455a"),
        ("00" * 16, "00" * 12, "00" * 16, "", "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"),
        (KEY, NONCE, PLAIN, "", SEALED + "4d5c2af327cd64a62cf35abd2ba6fab4"),
        (
            KEY,
            NONCE,
            PLAIN[:-8],
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            SEALED[:-8] + "5bc94fbc3221a5db94fae95ae7121a47",
        ),
    ],
)
def test_aes_gcm_cases_1_to_4(key: str, nonce: str, plaintext: str, aad: str, sealed: str) -> None:
    result = primitives.aes128_gcm_seal(unhex(key), unhex(nonce), unhex(plaintext), unhex(aad))
    assert result.hex() == sealed
    assert primitives.aes128_gcm_open(unhex(key), unhex(nonce), result, unhex(aad)) == unhex(plaintext)
    broken = bytes((result[0] ^ 1,)) + result[1:]
    assert primitives.aes128_gcm_open(unhex(key), unhex(nonce), broken, unhex(aad)) is None
    assert primitives.aes128_gcm_open(unhex(key), unhex(nonce), result[:15], unhex(aad)) is None
