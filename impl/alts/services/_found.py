"""The founding of a realm: what an operator does once, by hand, before any service can authenticate (SPEC 13.1.5)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts_schema.issuance_pb2 import POLICY, REVOCATIONS, SignMasterRequest

from .._trust import CATEGORY_SHIFT, Category
from ..policy import Kind, Publisher, compile_policy, read_document
from ..realm import _files
from ..revocation import compile_revocations
from ._agent import AgentCore
from ._beliefs import Anchors, Beliefs, copy_trust
from ._certificates import BACKDATE
from ._crl import CrlCore, CrlSettings
from ._proofs import prove
from ._signing import SigningCore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._config import Environment

FOUNDED = ("signing", "ca", "crl")
"""Services whose machines are there before the internal CA can enrol any."""


def services_of(realm: str) -> dict[str, str]:
    """Return the usual identities of the services of a realm."""
    return {name: f"{realm}/{name}" for name in ("founding", "signing", "ca", "crl", "cluster-master")}


def default_policy(realm: str, deployment: str) -> str:
    """Return a policy document: the founding for the three services, the CA for people and machines, the cluster master
    for workloads below `prod`. The lint finds nothing in it.
    """
    named = services_of(realm)
    rules = [(named["founding"], "machine", named[name], "made when the realm was founded") for name in FOUNDED]
    rules += [
        (named["ca"], "machine", "**", "the internal CA enrols and renews machines"),
        (named["ca"], "human", "corp/*", "the internal CA authenticates people"),
        (named["cluster-master"], "workload", "prod/**", "the cluster master runs workloads"),
    ]
    head = f'format = 1\ndeployment = "{deployment}"\ncertificate_authorities = ["{named["ca"]}"]\n'
    accepted = {named["founding"]: 'accepted = ["human-issuer"]\n'}  # it makes these by hand, and never another
    return head + "".join(
        f'\n[[rule]]\ncomment = "{comment}"\nissuer = "{issuer}"\ncategory = "{category}"\nidentity = "{identity}"\n'
        f"{accepted.get(issuer, '')}"
        for issuer, category, identity, comment in rules
    )


def found(
    path: Path, realm: str, environment: Environment, *, deployment: str = "production", policy: str = ""
) -> Anchors:
    """Make a realm: keys, the first policy and revocation files, and a state directory for each founding service.

    It appears whole and durably, or not at all. Afterwards `signing`, `ca` and `crl` go to their machines, `trust` to
    every machine, and `policy-signer` to a safe.

    Args:
        path: a directory that does not exist.
        realm: name, one identity segment.
        environment: clock and randomness.
        deployment: whose policies this realm accepts.
        policy: text of the first policy document; empty: `default_policy`.

    Raises:
        ConfigurationError: the path exists or cannot be written; the policy has errors.
    """
    clock, random = environment.clock, environment.random
    document = read_document(policy or default_policy(realm, deployment))
    with _files.new_directory(path) as scratch:
        for name in (*FOUNDED, "policy-signer", "trust"):
            _files.make_directory(scratch / name)
        keys = {name: Ed25519PrivateKey.from_private_bytes(random(32)) for name in ("policy", "revocation")}
        _files.replace(scratch / "crl/revocation.key", _files.key_bytes(keys["revocation"].private_bytes_raw()))
        _files.replace(scratch / "policy-signer/policy.key", _files.key_bytes(keys["policy"].private_bytes_raw()))
        signing = SigningCore(scratch / "signing/service.sqlite", clock, random)
        anchors = Anchors(
            realm,
            deployment,
            signing.verification_key,
            keys["policy"].public_key().public_bytes_raw(),
            keys["revocation"].public_key().public_bytes_raw(),
            services_of(realm),
        )
        anchors.save(scratch / "trust")
        beliefs = Beliefs(scratch / "trust", clock)
        publisher = Publisher(Kind.POLICY, scratch / "policy-signer/policy", clock=clock)
        publisher.publish(
            lambda number, now: compile_policy(document, key=keys["policy"], sequence=number, issued_at=now)
        )
        beliefs.install(POLICY, publisher.path.read_bytes())
        crl = CrlCore(scratch / "crl/service.sqlite", clock, revocation_signer(keys["revocation"]), CrlSettings(()))
        beliefs.install(REVOCATIONS, crl.publish().content)
        crl.close()
        for number, name in enumerate(FOUNDED, 1):
            _found_machine(scratch / name, signing, anchors, anchors.services[name], number, environment)
            copy_trust(scratch / "trust", scratch / name / "trust")
        signing.close()
        with _files.explained(path):
            for folder in filter(Path.is_dir, scratch.rglob("*")):  # each file in them is on disk; so is its name now
                _files.sync_directory(folder)
    return anchors


def _found_machine(
    state: Path, signing: SigningCore, anchors: Anchors, identity: str, number: int, environment: Environment
) -> None:
    """Give a machine its first master certificate, with an ID below those of every range; it does not expire."""
    agent = AgentCore(state / "agent.sqlite", environment.clock, environment.random)
    new = agent.new_key(identity)
    requester = anchors.services["founding"]
    key = prove(new.key, category=Category.MACHINE, identity=identity, requester=requester, binding=bytes(32))
    request = SignMasterRequest(
        key=key,
        not_before=int(environment.clock()) - BACKDATE,
        not_after=0,
        revocation_id=Category.MACHINE << CATEGORY_SHIFT | number,
    )
    agent.install(new, signing.sign(request, requester).certificate, requester)
    agent.close()


def revocation_signer(key: Ed25519PrivateKey) -> Callable[[Sequence[int], int, int], bytes]:
    """Return what a `CrlCore` makes files with."""
    return lambda ids, sequence, now: compile_revocations(ids, key=key, sequence=sequence, issued_at=now)
