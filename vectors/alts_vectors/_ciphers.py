"""Vectors of the handshake ciphers (SPEC 7.2): every term of whole handshakes, and key shares that must be refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alts_model.ciphers import HYBRID, KCI, PFS, STATIC
from alts_model.codec import frame
from alts_model.tables import Role

from . import _wire
from ._case import Group, Why, document
from ._files import Json
from ._sessions import ALL, Realm, Script, refusal_result
from ._x25519 import LOW_ORDER, encode

_SPEC = ("7.2", "7.3", "7.4")
_REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    STATIC: ("HS-1", "HS-5", "TRADE-4"),
    PFS: ("HS-5", "HS-10"),
    KCI: ("HS-5", "HS-10", "TRADE-2"),
    HYBRID: ("HS-5", "HS-10", "TRUST-7"),
}
SHORT: Mapping[str, str] = {STATIC: "static", PFS: "pfs", KCI: "kci", HYBRID: "hybrid"}
CLIENT_SHARES, SERVER_SHARE = 6, 10
"""Field numbers of `key_shares` in ClientInit and `key_share` in ServerInit."""


def generate(seed: str) -> Json:
    """The file `ciphers`."""
    realm = Realm(seed)
    endpoints: dict[str, Json] = {}
    good = Group("cipher", "Whole handshakes without resumption, one for each cipher, and by whose order it is chosen.")
    for cipher in ALL:
        script = Script(realm, endpoints, SHORT[cipher], {})
        script.connect("", "", (cipher,), "full")
        reason = "Terms and their order are what two implementations must agree on first."
        why = Why(f"{cipher} alone", reason, _REQUIREMENTS[cipher], _SPEC, ("KeySchedule",))
        script.add(good, SHORT[cipher], why)
    orders = {
        "client-prefers-static": (STATIC, PFS),
        "client-prefers-pfs": (PFS, STATIC),
        "client-prefers-hybrid": (HYBRID, KCI, PFS, STATIC),
        "client-prefers-kci": (KCI, HYBRID),
    }
    for name, offered in orders.items():
        lists = {"": (offered[0], *reversed(offered[1:])), "-whatever-the-server": tuple(reversed(offered))}
        for suffix, allowed in lists.items():
            script = Script(realm, endpoints, name + suffix, {})
            script.connect("", "", offered, "full", allowed=allowed)
            reason = "The first of the client's list that the server allows is taken; the server's order means nothing."
            why = Why(f"client {offered}, server {allowed}", reason, ("HS-4", "TRUST-7"), ("6.1",), ("Negotiation",))
            script.add(good, name + suffix, why)
    bad = Group("cipher_refused", "Key shares: low order, wrong length, no ML-KEM key, spoilt ciphertext.")
    for name, role, cipher, payload, error, reason, flag in _bad(realm, endpoints):
        script = Script(realm, endpoints, f"refused {SHORT[cipher]}", {})
        settings = realm.end(role, f"refused {SHORT[cipher]}", (cipher,))
        symbol = "client_init" if role == "server" else "server_init"
        acts = ([("start", b"")] if role == "client" else []) + [("receive", payload or frame(symbol, b""))]
        given, failed = script.script(role, "", settings, acts)
        assert failed is not None, name
        assert failed.name == error, (name, failed)
        why = Why(f"{cipher} at the {role}: {reason}", _EFFECT[flag], _REQUIREMENTS[cipher], ("5.2", "7.2"), (flag,))
        bad.add(name, why, input=given, result=refusal_result(failed, given["steps"]))
    return document(
        "ciphers",
        seed,
        "Handshakes with each cipher. `connections` are in order; `terms` are the parts of the key material of SPEC.md "
        "7.2, in order, from the private keys and seeds in `endpoints`. In a refused case `steps` are done to one end.",
        [good, bad],
        endpoints,
    )


_EFFECT = {
    "LowOrderPoint": "The result would be zero whatever the own key is: this term would protect nothing.",
    "Syntax": "A share of another length would be cut in the wrong place, or be missing.",
    "KeyEncapsulation": "A bad key could leak or fix the secret; a bad ciphertext must give another one, unseen.",
}


def _bad(realm: Realm, endpoints: dict[str, Json]) -> Iterator[tuple[str, Role, str, bytes, str, str, str]]:
    """Name, role under test, cipher, bytes, error, what was done, flag."""
    for cipher in (PFS, KCI, HYBRID):
        first, flight = _honest(realm, cipher)
        size = 4 + int.from_bytes(flight[:4], "little")
        init, finished = flight[8:size], flight[size:]
        share = _wire.get(_wire.get(first, CLIENT_SHARES), 2)
        answer = _wire.get(init, SERVER_SHARE)

        def client(new: bytes, cipher: str = cipher, first: bytes = first) -> bytes:
            return frame(
                "client_init", _wire.put(first, CLIENT_SHARES, _wire.join([(1, 2, cipher.encode()), (2, 2, new)]))
            )

        def server(new: bytes, init: bytes = init, finished: bytes = finished) -> bytes:
            return frame("server_init", _wire.put(init, SERVER_SHARE, new)) + finished

        short = SHORT[cipher]
        for name, number in LOW_ORDER.items() if cipher == PFS else [*LOW_ORDER.items()][2:4]:
            point = encode(number)
            what = f"an ephemeral key of low order ({name})"
            yield (
                f"{short}-server-{name}",
                "server",
                cipher,
                client(point + share[32:]),
                "BAD_KEY_SHARE",
                what,
                "LowOrderPoint",
            )
            yield (
                f"{short}-client-{name}",
                "client",
                cipher,
                server(point + answer[32:]),
                "BAD_KEY_SHARE",
                what,
                "LowOrderPoint",
            )
        for name, new, back in (("short", share[:-1], answer[:-1]), ("long", share + b"x", answer + b"x")):
            what = f"a share that is one byte too {name}"
            yield f"{short}-server-{name}", "server", cipher, client(new), "ILLEGAL_PARAMETER", what, "Syntax"
            yield f"{short}-client-{name}", "client", cipher, server(back), "ILLEGAL_PARAMETER", what, "Syntax"
        missing = frame("client_init", _wire.drop(first, CLIENT_SHARES))
        yield f"{short}-server-missing", "server", cipher, missing, "ILLEGAL_PARAMETER", "no share", "Syntax"
        missing = frame("server_init", _wire.drop(init, SERVER_SHARE)) + finished
        yield f"{short}-client-missing", "client", cipher, missing, "ILLEGAL_PARAMETER", "no share", "Syntax"
        if cipher == HYBRID:
            q = (3329).to_bytes(2, "little")
            for name, key in {
                "first-coefficient-q": q[:1] + bytes([share[33] & 0xF0 | q[1]]) + share[34:],
                "last-coefficient-4095": share[32:1182] + bytes([share[1182] | 0xF0, 0xFF]) + share[1184:],
                "all-ones": b"\xff" * 1184,
            }.items():
                what = f"an encapsulation key that fails the modulus check ({name})"
                yield (
                    f"hybrid-key-{name}",
                    "server",
                    cipher,
                    client(share[:32] + key),
                    "BAD_KEY_SHARE",
                    what,
                    "KeyEncapsulation",
                )
            for name, at in {"first": 32, "last": len(answer) - 1}.items():
                spoilt = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
                what = f"a ciphertext with its {name} byte changed"
                yield (
                    f"hybrid-ciphertext-{name}",
                    "client",
                    cipher,
                    server(spoilt),
                    "BAD_FINISHED",
                    what,
                    "KeyEncapsulation",
                )
    first, flight = _honest(realm, STATIC)
    size = 4 + int.from_bytes(flight[:4], "little")
    extra = frame("server_init", _wire.put(flight[8:size], SERVER_SHARE, bytes(32)))
    yield "static-client-share", "client", STATIC, extra, "ILLEGAL_PARAMETER", "a share where there is none", "Syntax"
    share = _wire.join([(1, 2, STATIC.encode()), (2, 2, bytes(32))])
    extra = frame("client_init", _wire.put(first, CLIENT_SHARES, share))
    yield "static-server-share", "server", STATIC, extra, "ILLEGAL_PARAMETER", "a share where there is none", "Syntax"


def _honest(realm: Realm, cipher: str) -> tuple[bytes, bytes]:
    """ClientInit and the server's flight between the usual ends of refused cases."""
    script = Script(realm, {}, f"refused {SHORT[cipher]}", {})
    ends = {role: script.end(role, "", realm.end(role, script.name, (cipher,))) for role in ("client", "server")}
    first = ends["client"].start()
    return first[8:], ends["server"].receive(first).output
