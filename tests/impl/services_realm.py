"""A founded realm whose services run in one loop, for tests: each can be started and stopped by itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts import Credential
from alts.grpclib_adapter import serve
from alts.services import (
    AddressBook,
    AgentSettings,
    CaCore,
    CaService,
    CaSettings,
    ClusterCore,
    ClusterService,
    ClusterSettings,
    Cost,
    CrlCore,
    CrlService,
    CrlSettings,
    IssuerLink,
    Machine,
    MayRun,
    Service,
    SigningCore,
    Tenant,
    copy_trust,
    found,
    login,
    revocation_signer,
    signing_service,
    totp_code,
)
from alts.services._machine import together
from alts.services.cli import SYSTEM
from alts.services.cli._clear import channel_in_clear, serve_in_clear

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from alts.services import CredentialHolder

HOST, PASSWORD, OPERATOR = "127.0.0.1", "correct horse battery staple", "corp/olga"


class Realm:
    """A founded realm whose services can be started and stopped one by one, in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.anchors = found(root / "realm", "realm", SYSTEM)
        self.book = AddressBook(root / "book.json")
        self.machines: dict[str, Machine | Tenant] = {}
        self.servers: dict[str, Any] = {}
        self.loops: list[asyncio.Future[None]] = []
        self.cores: list[Any] = []

    def machine(self, name: str) -> Machine:
        machine = Machine(self.root / "realm" / name, SYSTEM, self.book)
        self.machines[name] = machine
        return machine

    async def listen(self, name: str, service: Service, holder: CredentialHolder) -> None:
        self.servers[name] = server = await serve([service], HOST, 0, configuration=holder)
        self.book.enter(name, f"{HOST}:{server.port}")

    async def stop(self, name: str) -> None:
        server = self.servers.pop(name)
        server.close()
        await server.wait_closed()

    def background(self, *loops: Any) -> None:
        self.loops.append(asyncio.ensure_future(together(*loops)))

    async def signing(self) -> None:
        machine = self.machines.get("signing") or self.machine("signing")
        self.signing_core = SigningCore(self.root / "realm/signing/service.sqlite", SYSTEM.clock, SYSTEM.random)
        self.cores.append(self.signing_core)
        await self.listen("signing", signing_service(self.signing_core, machine.still_trusts), machine.holder)

    async def crl(self) -> None:
        machine = self.machine("crl")
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex((self.root / "realm/crl/revocation.key").read_text()))
        named = self.anchors.services
        settings = CrlSettings((named["ca"], named["cluster-master"]), (OPERATOR,), ca=named["ca"])
        self.crl_core = CrlCore(self.root / "realm/crl/service.sqlite", SYSTEM.clock, revocation_signer(key), settings)
        self.cores.append(self.crl_core)
        self.crl_service = CrlService(self.crl_core, machine.beliefs, machine.still_trusts)
        await self.listen("crl", self.crl_service.service, machine.holder)

    async def ca(self) -> None:
        machine = self.machine("ca")
        settings = CaSettings(cost=Cost(n=2, r=8, p=1), founding=self.anchors.services["founding"])
        path = self.root / "realm/ca/service.sqlite"
        self.ca_core = CaCore(path, machine.identity, SYSTEM.clock, SYSTEM.random, settings)
        self.cores.append(self.ca_core)
        signing, crl = machine.remote("SigningService", "signing"), machine.remote("RevocationService", "crl")
        self.ca_link = IssuerLink(self.ca_core.issuing, signing, crl)
        self.ca_service = CaService(self.ca_core, self.ca_link, machine.still_trusts)
        await self.listen("ca", self.ca_service.service, machine.holder)
        plain, port = await serve_in_clear(self.ca_service.enrolment, HOST, 0)
        self.servers["enrolment"] = plain
        self.book.enter("enrolment", f"{HOST}:{port}")

    async def enrol(
        self, identity: str, folder: str, *, export: bool = False, settings: AgentSettings | None = None
    ) -> Machine:
        copy_trust(self.root / "realm/trust", self.root / folder / "trust")
        machine = self.machines[folder] = Machine(self.root / folder, SYSTEM, self.book, settings, export=export)
        await machine.enrol(self.ca_core.add_token(identity), lambda: channel_in_clear(*self.book.find("enrolment")))
        return machine

    async def cluster(self) -> None:
        await self.enrol(self.anchors.services["cluster-master"], "cluster-machine", export=True)
        tenant = self.machines["cluster-master"] = Tenant(self.root / "cluster-machine", SYSTEM, self.book)
        settings = ClusterSettings("cell-1", ("prod/**",), (MayRun(OPERATOR, "prod/**"),), (OPERATOR,))
        core = ClusterCore(self.root / "cluster.sqlite", tenant.identity, SYSTEM.clock, SYSTEM.random, settings)
        self.cores.append(core)
        signing, crl = tenant.remote("SigningService", "signing"), tenant.remote("RevocationService", "crl")
        link = IssuerLink(core.issuing, signing, crl)
        service = ClusterService(core, link, tenant.still_trusts)
        await service.rotate()
        await self.listen("cluster-master", service.service, tenant.holder)
        self.background(link.keep_reporting(0.05))

    async def login(self, machine: Machine, name: str = "olga") -> Credential:
        secret = self.ca_core.add_user(name, f"corp/{name}", PASSWORD)
        return await login(
            machine.remote("InternalCa", "ca"),
            self.anchors.services["ca"],
            SYSTEM,
            name=name,
            identity=f"corp/{name}",
            password=PASSWORD,
            code=totp_code(secret, int(time.time())),
        )

    def as_person(self, machine: Machine, credential: Credential) -> Machine:
        """Let the machine's calls be a person's from now on."""
        machine.holder.update(credential)
        return machine


@contextlib.asynccontextmanager
async def realm_at(root: Path) -> AsyncIterator[Realm]:
    realm = Realm(root)
    try:
        yield realm
    finally:
        for loop in realm.loops:
            loop.cancel()
        await asyncio.gather(*realm.loops, return_exceptions=True)
        for machine in realm.machines.values():
            machine.close()
        for name in list(realm.servers):
            await realm.stop(name)
        for core in realm.cores:
            core.close()
