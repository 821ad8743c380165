"""What a human's tools do: log in at a machine, and use the certificate for 20 hours (ISSUE-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts_schema.issuance_pb2 import KeyRequest, LoginRequest, SignedMaster, SignMasterRequest

from .._issuer import MasterKey
from .._trust import Category
from ._certificates import make_credential, require_answer
from ._proofs import decode, prove

if TYPE_CHECKING:
    from .._config import Credential, Environment
    from ._rpc import Remote


async def login(
    ca: Remote, ca_identity: str, environment: Environment, *, name: str, identity: str, password: str, code: str
) -> Credential:
    """Log in at the internal CA and return the human's credential.

    Args:
        ca: called with the credential of the machine that the human sits at, so that the password travels protected.
        ca_identity: identity of the CA.
        environment: clock and randomness.
        name: of the account.
        identity: of the human.
        password: of the account.
        code: six digits of the second factor.

    Raises:
        RequestRefused: UNAUTHENTICATED, RESOURCE_EXHAUSTED or PERMISSION_DENIED.
        PeerViolation, OSError, TimeoutError: no connection.
    """
    key = Ed25519PrivateKey.from_private_bytes(environment.random(32))
    binding = await ca.binding()
    proven = prove(key, category=Category.HUMAN, identity=identity, requester=ca_identity, binding=binding)
    request = LoginRequest(name=name, password=password, second_factor=code, key=proven)
    signed: SignedMaster = await ca.call("Login", request, attempts=1)  # the code works once
    require_answer(signed.certificate, decode(KeyRequest, proven.request), ca_identity)
    now = int(environment.clock())
    return make_credential(MasterKey(signed.certificate, key), environment.random, now, lifetime=0)


async def request_master(
    signing: Remote, requester: str, environment: Environment, *, category: Category, identity: str, lifetime: int
) -> MasterKey:
    """Ask the Signing Service itself for a master certificate: whoever is authenticated may (ISSUE-1, POLICY-2).

    Its issuer is then `requester`, and what it is worth is for every verifier's policy to say (POLICY-3).

    Args:
        signing: called with the requester's credential.
        requester: identity of the caller.
        environment: clock and randomness.
        category: of the certificate.
        identity: of the certificate.
        lifetime: seconds.
    """
    key = Ed25519PrivateKey.from_private_bytes(environment.random(32))
    binding = await signing.binding()
    proven = prove(key, category=category, identity=identity, requester=requester, binding=binding)
    now = int(environment.clock())
    number = category << 56 | int.from_bytes(environment.random(6), "big")
    request = SignMasterRequest(key=proven, not_before=now, not_after=now + lifetime, revocation_id=number)
    signed: SignedMaster = await signing.call("SignMaster", request)
    return MasterKey(signed.certificate, key)
