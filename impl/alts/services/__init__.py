"""Issuance: the services that give credentials to humans, machines and workloads (SPEC 13.1).

The cores (`SigningCore`, `CaCore`, `CrlCore`, `ClusterCore`, `AgentCore`) decide and keep, with injected clock and
randomness and no network; `alts.services.cli` runs them as processes over our own ALTS. A process that is given
credentials passes a `FileHolder` for the configuration of its servers and channels: new handshakes take what is there
by then, and what runs is not touched.
"""

from ._agent import AgentCore, AgentSettings, NewKey, prove_machine
from ._beliefs import Anchors, Beliefs, copy_trust
from ._book import AddressBook
from ._bundle import FileHolder, bundle_of, open_bundle, read_bundle, write_bundle
from ._ca import CaCore, CaSettings, Token
from ._certificates import make_credential, parse_master
from ._cluster import ClusterCore, ClusterSettings, MayRun
from ._crl import CrlCore, CrlSettings, Publication
from ._errors import RequestRefused, Status, StoreError
from ._found import default_policy, found, revocation_signer, services_of
from ._holder import CredentialHolder, RotatingChannel
from ._issuers import CaService, ClusterService, IssuerLink
from ._issuing import Issuing, Pending
from ._machine import Machine, Tenant
from ._others import CrlService, NodeAgent, signing_service
from ._passwords import Cost, PasswordHash, totp_code, totp_step
from ._people import login, request_master
from ._proofs import check_proof, enrolment_binding, enrolment_request_mac, enrolment_response_mac, prove
from ._rpc import Caller, Remote, Service, call, connector
from ._signing import SigningCore
from ._store import Store

__all__ = [
    "AddressBook",
    "AgentCore",
    "AgentSettings",
    "Anchors",
    "Beliefs",
    "CaCore",
    "CaService",
    "CaSettings",
    "Caller",
    "ClusterCore",
    "ClusterService",
    "ClusterSettings",
    "Cost",
    "CredentialHolder",
    "CrlCore",
    "CrlService",
    "CrlSettings",
    "FileHolder",
    "IssuerLink",
    "Issuing",
    "Machine",
    "MayRun",
    "NewKey",
    "NodeAgent",
    "PasswordHash",
    "Pending",
    "Publication",
    "Remote",
    "RequestRefused",
    "RotatingChannel",
    "Service",
    "SigningCore",
    "Status",
    "Store",
    "StoreError",
    "Tenant",
    "Token",
    "bundle_of",
    "call",
    "check_proof",
    "connector",
    "copy_trust",
    "default_policy",
    "enrolment_binding",
    "enrolment_request_mac",
    "enrolment_response_mac",
    "found",
    "login",
    "make_credential",
    "open_bundle",
    "parse_master",
    "prove",
    "prove_machine",
    "read_bundle",
    "request_master",
    "revocation_signer",
    "services_of",
    "signing_service",
    "totp_code",
    "totp_step",
    "write_bundle",
]
