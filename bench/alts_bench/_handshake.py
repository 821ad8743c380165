"""`alts bench handshake`: a full ALTS handshake against mutual TLS 1.3 of Python's `ssl`, both sides in one process.

TLS has what it needs to be comparable: P-256 keys, both sides with a certificate under one intermediate, in memory.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from alts import (
    X25519_STATIC_SHA256,
    Configuration,
    Connection,
    Environment,
    Realm,
    Resumption,
    ResumptionKeys,
    Role,
    VerifiedSignatures,
)

from ._measure import alternate

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNT = 20


def _alts(*, resume: bool = False, cache: bool = False, cipher: str = X25519_STATIC_SHA256) -> Callable[[], int]:
    """Return a loop of handshakes between two endpoints, both sides in this thread.

    Args:
        resume: every handshake resumes the one before, with a server-made ticket.
        cache: signatures of certificates seen before are not verified again; all else about them is.
        cipher: the handshake cipher.
    """
    realm = Realm(os.urandom, int(time.time()))
    environment = Environment(time.time, os.urandom)
    trust = replace(realm.trust(), verified=VerifiedSignatures() if cache else None)
    server_configuration = Configuration(
        realm.workload("bench/server"),
        trust,
        handshake_ciphers=(cipher,),
        resumption=Resumption(ResumptionKeys(bytes(16), {1: bytes(32)})) if resume else None,
    )
    client_configuration = Configuration(
        realm.workload("bench/client"),
        trust,
        handshake_ciphers=(cipher,),
        target_identities=frozenset({"bench/server"}),
        resumption=Resumption() if resume else None,
    )
    modes: set[str] = set()

    def run() -> int:
        for _ in range(_COUNT):
            client = Connection(Role.CLIENT, client_configuration, environment)
            server = Connection(Role.SERVER, server_configuration, environment)
            client.start()
            server.receive_data(client.data_to_send())
            client.receive_data(server.data_to_send())
            server.receive_data(client.data_to_send())
            if server.result is None:
                raise RuntimeError("the handshake did not complete")
            modes.add(server.result.negotiated.mode)
        if resume:
            if len(modes) > 1:  # the very first one is full
                modes.discard("full")
            if modes != {"client_ticket"}:
                raise RuntimeError(f"not resumed: {modes}")
        return _COUNT

    return run


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


def _tls(directory: Path, *, resume: bool = False) -> Callable[[], int]:
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
        for _ in range(_COUNT):
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
        return _COUNT

    return run


LOOPS = (
    ("alts_cold", "ALTS, full, every signature verified"),
    ("alts_cached", "ALTS, full, signatures seen before"),
    ("alts_resumed", "ALTS, resumed (no asymmetric operation)"),
    ("tls_full", "T: mutual TLS 1.3, P-256, one intermediate"),
    ("tls_resumed", "P: TLS 1.3 resumed by PSK"),
)


def measure(seconds: float) -> dict[str, float | str]:
    """Return microseconds of one handshake (both sides, one core) of each loop, ratios, and both OpenSSL versions."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        costs = alternate(
            {
                "alts_cold": _alts(),
                "alts_cached": _alts(cache=True),
                "alts_resumed": _alts(resume=True),
                "tls_full": _tls(path),
                "tls_resumed": _tls(path, resume=True),
            },
            seconds,
        )
    return {
        **{f"{name}_microseconds": cost * 1e6 for name, cost in costs.items()},
        "cold_over_t": costs["tls_full"] / costs["alts_cold"],
        "cached_over_t": costs["tls_full"] / costs["alts_cached"],
        "resumed_over_t": costs["tls_full"] / costs["alts_resumed"],
        "resumed_over_p": costs["tls_resumed"] / costs["alts_resumed"],
        "openssl_of_cryptography": backend.openssl_version_text(),
        "openssl_of_python": ssl.OPENSSL_VERSION,
    }
