"""The walk-through: a realm of real processes from its founding to its attackers, told in plain words.

Every step says what happened and is checked; a step that is not what it should be ends with exit code 1, a process that
did not start with 3. `run` is for the `alts` command, `walk` for tests.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpclib.exceptions

from alts import Category, Credential, ErrorCode, PeerViolation, Resumption
from alts.services import (
    CredentialHolder,
    FileHolder,
    Remote,
    RequestRefused,
    RotatingChannel,
    Status,
    default_policy,
    make_credential,
    open_bundle,
    read_bundle,
    request_master,
)
from alts_schema.issuance_pb2 import POLICY, REVOCATIONS, RevokeRequest, RotateRequest, ScheduleRequest

from ._runner import terminable
from ._walkthrough_realm import SYSTEM, HarnessError, NeverHappenedError, Person, Realm, Started, Step, until
from ._walkthrough_workload import ask

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

BACKEND, FRONTEND, BATCH = "prod/backend", "prod/frontend", "prod/batch"
NODE, CELL = "machines/node-1", "cell-1"
OK, FINDINGS, USAGE, HARNESS = 0, 1, 2, 3


class Walk:
    """One walk through a realm.

    Args:
        root: an empty directory of ours.
        tell: is given each step as it is done.
    """

    def __init__(self, root: Path, tell: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        self.realm = Realm(root)
        self._tell = tell
        self._node = root / "node-1"
        self._replicas: list[Started] = []

    def step(self, text: str, right: bool) -> None:
        """Record a step."""
        self.steps.append(Step(text, right))
        self._tell(self.steps[-1])

    async def walk(self) -> None:
        """Do it all, and end every process.

        Raises:
            HarnessError: a process did not start.
        """
        try:
            await self.bring_up()
            await self.schedule()
            await self.call()
            await self.rotate()
            await self.revoke()
            await self.mallory()
        except NeverHappenedError as error:
            self.step(str(error), False)
        finally:
            codes = await self.realm.end()
        self.step(f"{len(codes)} processes end in order when they are told to", not any(codes))

    # -- the realm --------------------------------------------------------------------------------------------------

    async def bring_up(self) -> None:
        """Found the realm, start five services, enrol two machines."""
        realm, root = self.realm, self.realm.root
        await realm.command("found", root / "realm", "--realm", "realm")
        self.step("an operator founds the realm: a root key, a policy, an empty revocation file", True)
        for name in ("signing", "crl"):
            operator = ["--operator", "corp/olga"] if name == "crl" else []
            await realm.serve(name, name, "--state", realm.state(name), "--enter", *operator)
        await realm.serve("ca", "ca", "--state", realm.state("ca"), "--enter", "--enrol-listen", "127.0.0.1:0")
        for identity, name in (("realm/cluster-master", "cluster-machine"), (NODE, "node-1")):
            await realm.command("token", realm.state("ca"), identity, root / f"{name}.token")
            await realm.command("install", root / "realm/trust", root / name)
            idle = ["--no-workloads"] if name == "cluster-machine" else []
            options = "--state", root / name, "--token", root / f"{name}.token"
            await realm.serve(f"daemon-{name}", "daemon", *options, *idle)
        words = "cluster-master", "--state", root / "cluster", "--agent", root / "cluster-machine", "--enter"
        rules = "--cell", CELL, "--workloads", "prod/**", "--may-run", "corp/olga=prod/**", "--operator", "corp/olga"
        await realm.serve("cluster-master", *words, *rules)
        identities = [started.ready["identity"] for started in realm.processes]
        right = identities[:3] == ["realm/signing", "realm/crl", "realm/ca"] and identities[4] == NODE
        told = [f"{started.ready['service']} on {started.ready['identity']}" for started in realm.processes]
        self.step(f"five services run in {len(told)} processes (the daemon on two machines): {', '.join(told)}", right)

    async def schedule(self) -> None:
        """People log in; one may run workloads, another may not; the node agent provisions credentials."""
        realm = self.realm
        await asyncio.gather(*(realm.add_account(name) for name in ("olga", "mallory", "network-admin")))
        olga = await realm.login("olga", self._node)
        body = olga.parsed.body
        lasts = body.not_after - body.not_before
        self.step(
            f"{olga.identity} logs in with password and second factor; her certificate lasts {lasts} s", lasts == 72000
        )
        self._olga = Person(olga, self._node)
        self._mallory = Person(await realm.login("mallory", self._node), self._node)
        try:
            await self._start(self._mallory, BACKEND)
            denied = False
        except RequestRefused as refusal:
            denied = refusal.status is Status.PERMISSION_DENIED
        self.step(f"corp/mallory asks the cluster master to run {BACKEND}, and is refused", denied)
        names = [await self._start(self._olga, identity) for identity in (BACKEND, BACKEND, FRONTEND, BATCH)]
        folders = [self._node / "workloads" / name for name in names]
        await until("credentials on the node", lambda: all((f / "credential").exists() for f in folders))
        bundles = [read_bundle(folder) for folder in folders]
        self._folders = dict(zip(("a", "b", "frontend", "batch"), folders, strict=True))
        shared = bundles[0].resumption_id == bundles[1].resumption_id != bundles[2].resumption_id
        own = len({bundle.private_key for bundle in bundles}) == 4
        self.step(
            f"corp/olga has two replicas of {BACKEND}, {FRONTEND} and {BATCH} scheduled on {NODE}; each has a key"
            " of its own, the replicas share resumption key and ID",
            shared and own,
        )
        for name in ("a", "b"):
            module, trust = "alts_conformance._walkthrough_workload", self._node / "trust"
            allowed = FRONTEND, "corp/network-admin"
            self._replicas.append(
                await realm.start(f"backend-{name}", module, name, self._folders[name], trust, *allowed)
            )
        self._frontend = FileHolder(self._folders["frontend"], self._node / "trust", time.time, Resumption())

    async def _start(self, client: Person, identity: str) -> str:
        with closing(self.realm.remote(client, "ClusterMaster", "cluster-master")) as cluster:
            request = ScheduleRequest(request_id=os.urandom(16), identity=identity, node=NODE)
            return str((await cluster.call("Schedule", request)).workload)

    # -- calls ------------------------------------------------------------------------------------------------------

    def _channel(self, replica: int, holder: CredentialHolder) -> RotatingChannel:
        return RotatingChannel("127.0.0.1", self._replicas[replica].ready["port"], holder, {BACKEND})

    async def _ask(self, replica: int, holder: CredentialHolder) -> dict[str, Any]:
        """Call once on a connection of its own."""
        with closing(self._channel(replica, holder)) as channel:
            return await ask(channel)

    async def _outcome(self, replica: int, holder: CredentialHolder) -> str:
        """Call on a connection of its own, and say how that ended: the alert, or the mode and what the call gave."""
        channel = self._channel(replica, holder)
        try:
            await ask(channel)
            status = "OK"
        except grpclib.exceptions.GRPCError as error:
            status = error.status.name
        except PeerViolation as violation:
            return ErrorCode(violation.alert_code).name if violation.alert_code else f"own {violation.code.name}"
        finally:
            channel.close()
        assert channel.transport is not None  # there was an answer
        return f"{channel.transport.get_extra_info('alts_negotiated').mode}, {status}"

    async def call(self) -> None:
        """Authorise by identity; resume at a replica that made no ticket."""
        answer = await self._ask(0, self._frontend)
        right = answer == {"replica": "a", "caller": FRONTEND, "mode": "full"}
        self.step(f"{FRONTEND} calls replica a of {BACKEND}, which sees {answer['caller']} and answers", right)
        self._batch = Person(open_bundle(read_bundle(self._folders["batch"]))[0], self._node, Resumption())
        outcome = await self._outcome(0, self._batch)
        self.step(f"{BATCH} is authenticated, and not allowed to ask: {outcome}", outcome == "full, PERMISSION_DENIED")
        answer = await self._ask(1, self._frontend)
        right = answer == {"replica": "b", "caller": FRONTEND, "mode": "client_ticket"}
        self.step(f"replica b resumes the session with a ticket that replica a made: mode {answer['mode']}", right)

    # -- rotation ---------------------------------------------------------------------------------------------------

    async def rotate(self) -> None:
        """Rotate everything twice while calls go on."""
        with (
            closing(self.realm.remote(self._olga, "ClusterMaster", "cluster-master")) as cluster,
            closing(self._channel(0, self._frontend)) as live,
        ):
            await self._rotate(cluster, live)

    async def _rotate(self, cluster: Remote, live: RotatingChannel) -> None:
        before = await self._server_certificates()
        await ask(live)
        connection, done = live.transport, asyncio.Event()
        modes: list[str] = []  # of each connection made under load
        calls = [0]
        failures: list[str] = []

        async def load(replica: int, channel: RotatingChannel | None) -> None:
            while not done.is_set():
                try:
                    answer = await (ask(channel) if channel else self._ask(replica, self._frontend))
                    calls[0] += 1
                    if channel is None:
                        modes.append(answer["mode"])
                except Exception as error:
                    failures.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(0)

        tasks = [asyncio.ensure_future(load(n, c)) for n, c in ((0, live), (0, None), (1, None), (1, None))]
        try:
            epochs = []
            for _ in range(2):
                old = [read_bundle(folder) for folder in self._folders.values()]
                epochs.append((await cluster.call("Rotate", RotateRequest(), attempts=1)).epoch)
                await until("new credentials on the node", partial(self._all_differ, old))
                goal = len(modes) + 40
                await until("calls after the rotation", partial(lambda goal: len(modes) > goal or bool(failures), goal))
        finally:
            done.set()
            await asyncio.gather(*tasks, return_exceptions=True)
        after = await self._server_certificates()
        await ask(live)
        same = live.transport is connection
        changed = not set(before) & set(after)
        resumed = sum(mode != "full" for mode in modes)
        self.step(
            f"corp/olga has everything rotated twice (base workload masters {epochs}) under load: {calls[0]} calls,"
            f" {len(modes)} new connections, {resumed} of them resumed; failed: {failures[:1] or 'none'}",
            not failures and len(modes) > 80 and resumed > 0,
        )
        self.step(
            "both replicas have new certificates, and the connection from before still carries calls", changed and same
        )

    def _all_differ(self, old: list[Any]) -> bool:
        new = [read_bundle(folder) for folder in self._folders.values()]
        return all(a.certificate != b.certificate for a, b in zip(old, new, strict=True))

    async def _server_certificates(self) -> list[bytes]:
        """Return the digests of the certificates that the replicas show in a full handshake."""
        holder = FileHolder(self._folders["frontend"], self._node / "trust", time.time)
        digests = []
        for replica in range(len(self._replicas)):
            with closing(self._channel(replica, holder)) as channel:
                await ask(channel)
                peer = channel.alts_peer
            assert peer is not None  # connected
            digests.append(peer.certificate_digest)
        return digests

    # -- revocation -------------------------------------------------------------------------------------------------

    async def revoke(self) -> None:
        """Revoke a workload's certificate: full handshakes and resumptions end, others go on."""
        credential = open_bundle(read_bundle(self._folders["batch"]))[0]
        blind = self._blind(credential, Resumption())
        full = self._blind(credential, None)
        first, second = await self._outcome(0, blind), await self._outcome(0, blind)
        cache = blind.resumption.cache if blind.resumption else ()
        held = len(cache)
        self.step(
            f"{BATCH}, which looks at no revocation file itself, connects ({first}) and resumes ({second})",
            (first, second) == ("full, PERMISSION_DENIED", "client_ticket, PERMISSION_DENIED") and held > 0,
        )
        with closing(self.realm.remote(self._olga, "RevocationService", "crl")) as crl:
            request = RevokeRequest(revocation_ids=[credential.parsed.body.revocation_id], reason="walk-through")
            sequence = (await crl.call("Revoke", request)).sequence
        await until("the revocation file on the node", lambda: self._sequence() >= sequence)
        self.step(f"corp/olga revokes its certificate; revocation file {sequence} reaches {NODE}", True)
        refused = await self._outcome(0, full)
        self.step(f"the next full handshake of {BATCH}: {refused}", refused == "CERTIFICATE_REVOKED")
        refused = await self._outcome(0, blind)
        self.step(
            f"the next resumption of {BATCH} with its ticket ({held} held before, {len(cache)} now): {refused}",
            refused == "CERTIFICATE_REVOKED" and len(cache) == held - 1,
        )
        outcome = await self._outcome(0, self._frontend)
        self.step(f"{FRONTEND} is not touched: {outcome}", outcome == "client_ticket, OK")

    def _blind(self, credential: Credential, resumption: Resumption | None) -> CredentialHolder:
        """An endpoint that never looks at revocations: what it does then is not its own doing."""
        trust = dataclasses.replace(self._olga.beliefs.trust, is_revoked=lambda number: False)
        holder = CredentialHolder(trust, resumption)
        holder.update(credential)
        return holder

    def _sequence(self) -> int:
        self._olga.beliefs.refresh()
        return self._olga.beliefs.sequence(REVOCATIONS)

    # -- Mallory ----------------------------------------------------------------------------------------------------

    async def mallory(self) -> None:
        """A user has a certificate for the network administrator signed, and is stopped by the policy (POLICY-3)."""
        realm = self.realm
        honest = Person(await realm.login("network-admin", self._node), self._node)
        outcome = await self._outcome(0, honest)
        self.step(
            f"the real corp/network-admin, whose issuer is the CA, calls {BACKEND}: {outcome}", outcome == "full, OK"
        )
        identity, kind = "corp/network-admin", Category.HUMAN
        with closing(realm.remote(self._mallory, "SigningService", "signing")) as signing:
            asked = request_master(signing, "corp/mallory", SYSTEM, category=kind, identity=identity, lifetime=72000)
            master = await asked
        forged = make_credential(master, SYSTEM.random, int(time.time()), lifetime=0)
        self.step(
            f"corp/mallory has a master certificate for {forged.identity} signed; the Signing Service names"
            f" {forged.peer.issuer} as issuer",
            forged.peer.issuer == "corp/mallory",
        )
        impostor = self._blind(forged, None)
        outcome = await self._outcome(0, impostor)
        self.step(f"corp/mallory calls {BACKEND} as {forged.identity}: {outcome}", outcome == "POLICY_DENIED")
        strict = default_policy("realm", "production")
        loose = strict + '\n[[rule]]\nissuer = "**"\ncategory = "human"\nidentity = "corp/*"\n'
        await self._publish(loose)
        outcome = await self._outcome(0, impostor)
        self.step(
            f"with a policy that lets anybody issue for people, it would have worked: {outcome}", outcome == "full, OK"
        )
        await self._publish(strict)
        outcome = await self._outcome(0, impostor)
        self.step(f"with the strict policy again: {outcome}", outcome == "POLICY_DENIED")

    async def _publish(self, text: str) -> None:
        document = self.realm.root / "policy.toml"
        document.write_text(text, "utf-8")
        document.chmod(0o600)
        before = self._policy_sequence()
        await self.realm.command(
            "publish-policy", self.realm.root / "realm/policy-signer", self.realm.state("crl"), document
        )
        await until("the policy file on the node", lambda: self._policy_sequence() > before)

    def _policy_sequence(self) -> int:
        self._olga.beliefs.refresh()
        return self._olga.beliefs.sequence(POLICY)


async def walk(root: Path, tell: Callable[[Step], None] = lambda step: None) -> list[Step]:
    """Walk through a realm in `root`, an empty directory; return the steps.

    Raises:
        HarnessError: a process did not start.
    """
    walked = Walk(root, tell)
    await walked.walk()
    return walked.steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `alts walkthrough` to `parser`."""
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="do it in DIR, which must not exist, and leave it there"
    )


def run(args: argparse.Namespace) -> int:
    """Walk and print. Returns 0, 1 if a step is not what it should be, 2 if the directory is there already, 3 if the
    realm could not be brought up.

    Raises:
        KeyboardInterrupt: it was interrupted, or told to end; the realm is gone all the same.
        BrokenPipeError: nobody reads what is printed.
    """
    steps: list[Step] = []

    def tell(step: Step) -> None:
        steps.append(step)
        print(f"{len(steps):3}. {'' if step.right else 'WRONG: '}{step.text}", flush=True)

    try:
        with terminable():
            if args.keep is not None:
                try:
                    args.keep.mkdir(mode=0o700)
                except FileExistsError:
                    print(f"alts walkthrough: --keep {args.keep}: exists already", file=sys.stderr)
                    return USAGE
                asyncio.run(walk(args.keep, tell))
            else:
                with tempfile.TemporaryDirectory(prefix="alts-") as scratch:
                    asyncio.run(walk(Path(scratch), tell))
    except BrokenPipeError:
        raise
    except (HarnessError, OSError, RequestRefused, PeerViolation) as error:
        named = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else None
        print(f"alts walkthrough: {named or error}", file=sys.stderr)
        return HARNESS
    wrong = [step for step in steps if not step.right]
    print(f"{len(steps) - len(wrong)} steps as they should be, {len(wrong)} wrong")
    return FINDINGS if wrong else OK
