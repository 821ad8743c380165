"""`alts bench handshake`: ALTS handshakes against mutual TLS 1.3 of Python's `ssl`, both sides in one process.

ALTS has what an operator's endpoint has: a signed policy and a signed revocation file with a loaded set behind stores
that follow their directory, nonces from the system, target identities, and by row a memory of verified signatures, a
cache of tickets and a memory of used secrets (`_world`); what it still knows of the peer is said row by row (`_cold`).
TLS has P-256 keys, both sides with a certificate under one intermediate, in memory. The two do not do the same work:
`NOT_ALIKE` says where.
"""

from __future__ import annotations

import contextlib
import datetime
import ssl
import statistics
import tempfile
from operator import truediv
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ._measure import samples
from ._world import World, asymmetric_operations

if TYPE_CHECKING:
    from collections.abc import Callable

_ALTS, _PFS, _COLD, _FULL, _PSK = 100, 50, 20, 6, 10
"""Handshakes a visit of each loop: about as long for all of them, long enough to warm the caches."""


def _issue(
    name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None, ca: bool
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0] if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(issuer[1] if issuer else key, SHA256()), key


def _tls(directory: Path, count: int, *, resume: bool = False) -> Callable[[], int]:
    """Return a loop of mutual TLS 1.3 handshakes in memory, full ones or resumed by PSK (with key exchange)."""
    root, root_key = _issue("root", None, ca=True)
    middle, middle_key = _issue("intermediate", (root.subject, root_key), ca=True)
    (directory / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    contexts = {}
    for name, protocol in (("server", ssl.PROTOCOL_TLS_SERVER), ("client", ssl.PROTOCOL_TLS_CLIENT)):
        leaf, key = _issue(name, (middle.subject, middle_key), ca=False)
        (directory / f"{name}.pem").write_bytes(
            leaf.public_bytes(Encoding.PEM)
            + middle.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context = contexts[name] = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(directory / f"{name}.pem")
        context.load_verify_locations(directory / "root.pem")
    contexts["server"].num_tickets = 1 if resume else 0

    def step(end: ssl.SSLObject) -> bool:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    session: ssl.SSLSession | None = None

    def run() -> int:
        nonlocal session
        for _ in range(count):
            to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = contexts["client"].wrap_bio(to_client, to_server, server_hostname="server", session=session)
            server = contexts["server"].wrap_bio(to_server, to_client, server_side=True)
            step(client)
            step(server)
            if not step(client) or not step(server):
                raise RuntimeError("the TLS handshake did not complete")
            if resume:
                if session is not None and not client.session_reused:
                    raise RuntimeError("TLS did not resume")
                with contextlib.suppress(ssl.SSLWantReadError):
                    client.read(1)  # takes in the new session ticket
                session = client.session
        return count

    return run


_SAME_PEER = "the same peer again (verified certificate known)"
LOOPS = (
    ("alts_cold", "ALTS, full, an unknown peer"),
    ("alts_signatures", "ALTS, full, only its signatures remembered"),
    ("alts_cached", f"ALTS, full, {_SAME_PEER}"),
    ("alts_pfs", "  the same with X25519_PFS_SHA256"),
    ("alts_resumed", "ALTS, resumed by the server's ticket"),
    ("alts_resumed_both", "  the same, both sides making tickets"),
    ("alts_resumed_keys", "  the same as the one, record keys cut too"),
    ("alts_resumed_pfs", "  the same as the one with X25519_PFS_SHA256"),
    ("tls_full", "T: mutual TLS 1.3, P-256, one intermediate"),
    ("tls_resumed", "P: TLS 1.3 resumed by PSK, with key exchange"),
)

BARS = (
    ("cold_over_t", "cold certificates", "T", "tls_full", "alts_cold", 2.0),
    ("signatures_over_t", "only its signatures remembered", "T", "tls_full", "alts_signatures", None),
    ("cached_over_t", _SAME_PEER, "T", "tls_full", "alts_cached", 8.0),
    ("pfs_over_t", "  the same with X25519_PFS_SHA256", "T", "tls_full", "alts_pfs", None),
    ("resumed_over_t", "resumed", "T", "tls_full", "alts_resumed", 15.0),
    ("resumed_over_p", "resumed", "P", "tls_resumed", "alts_resumed", 8.0),
    ("resumed_pfs_over_p", "  the same with X25519_PFS_SHA256", "P", "tls_resumed", "alts_resumed_pfs", None),
)
"""Each ratio: its name, what is fast, the unit, slow loop, fast loop, and how many times as fast it ought to be.

None: nobody asked for a figure.
"""

NOT_ALIKE = (
    "TLS, full and by PSK, makes an ephemeral key exchange and sets up its traffic keys inside the handshake.",
    "ALTS rows with a bar are the static cipher, without either; X25519_PFS_SHA256 has the exchange, and one row",
    "has the record keys. The two use different builds of OpenSSL: part of any ratio may be theirs.",
)
"""What a ratio does not say by itself; printed with every table."""


class AsymmetricOperation(Exception):
    """A resumed handshake did an asymmetric operation, which it must not."""


def measure(seconds: float) -> dict[str, float | str | None]:
    """Return microseconds of one handshake (both sides, one core) of each loop, ratios, counts, both OpenSSL versions.

    A ratio is the median, over the rounds, of the two visits' quotient in a round: what slows a whole round cancels.

    Raises:
        AsymmetricOperation: a resumed handshake did one.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        world = World(path)
        resumed = world.loop(_ALTS, resume=True)
        counts = {
            "asymmetric_operations_full": asymmetric_operations(world.loop(1, cache=True)),
            "asymmetric_operations_resumed": asymmetric_operations(resumed),
        }
        if counts["asymmetric_operations_resumed"]:
            raise AsymmetricOperation(f"{counts['asymmetric_operations_resumed']} in {_ALTS} resumed handshakes")
        costs = samples(
            {
                "alts_cold": world.loop(_COLD, forget=True),
                "alts_signatures": world.loop(_ALTS, cache=True, forget=True),
                "alts_cached": world.loop(_ALTS, cache=True),
                "alts_pfs": world.loop(_PFS, cache=True, pfs=True),
                "alts_resumed": resumed,
                "alts_resumed_both": world.loop(_ALTS, resume=True, both=True),
                "alts_resumed_keys": world.loop(_ALTS, resume=True, record_keys=True),
                "alts_resumed_pfs": world.loop(_PFS, resume=True, pfs=True),
                "tls_full": _tls(path, _FULL),
                "tls_resumed": _tls(path, _PSK, resume=True),
            },
            seconds,
        )
    middle = {name: statistics.median(values) for name, values in costs.items()}
    best = {name: min(values) for name, values in costs.items()}
    rounds = {key: map(truediv, costs[slow], costs[fast]) for key, _, _, slow, fast, _ in BARS}
    return {
        **{f"{name}_microseconds": cost * 1e6 for name, cost in middle.items()},
        **{f"{name}_best_microseconds": cost * 1e6 for name, cost in best.items()},
        **{name: statistics.median(ratios) for name, ratios in rounds.items()},
        **{f"{name}_best": best[slow] / best[fast] for name, _, _, slow, fast, _ in BARS},
        **{f"{name}_bar": bar for name, _, _, _, _, bar in BARS},
        **counts,
        "revoked_ids": world.revoked,
        "policy_rules": world.rules,
        "openssl_of_cryptography": backend.openssl_version_text(),
        "openssl_of_python": ssl.OPENSSL_VERSION,
    }


def text(figures: dict[str, float | str | None]) -> str:
    """Return what `measure` found, for people."""

    def value(key: str) -> float:
        return float(figures[key] or 0)

    lines = [
        "handshakes, both sides in one thread, loops in turn; nonces, policy, revocation lookups and events included",
        f"  ({figures['policy_rules']} rules in the policy file, {figures['revoked_ids']} IDs in the revocation file)",
        f"  {'µs of one handshake':<60} median   best visit",
    ]
    for key, name in LOOPS:
        middle, best = (value(f"{key}_{kind}") for kind in ("microseconds", "best_microseconds"))
        lines.append(f"  {name:<60} {middle:>6.0f}   {best:>10.0f}")
    lines.append(f"  {'how many times as fast':<60} median   best visit    bar")
    for key, name, unit, _, _, bar in BARS:
        middle, best = value(key), value(f"{key}_best")
        missed = bar is not None and middle < bar
        verdict = "" if not missed else "   the median is below the bar" if best >= (bar or 0) else "   below the bar"
        asked = "no" if bar is None else f"{bar:.0f}"
        lines.append(f"  {name:<60} {middle:>6.1f}   {best:>10.1f}   {asked:>2} {unit}{verdict}")
    full, resumed = figures["asymmetric_operations_full"], figures["asymmetric_operations_resumed"]
    lines += [
        "  calls into asymmetric cryptography, both sides, with the static cipher:",
        f"    {full} in a full handshake with the same peer again, {resumed} in {_ALTS} resumed ones",
        *(f"  {line}" for line in NOT_ALIKE),
        f"  ALTS: {figures['openssl_of_cryptography']}; TLS: {figures['openssl_of_python']}",
    ]
    return "\n".join(lines)
