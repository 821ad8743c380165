"""The services of `alts` as the vectors see them: cores in memory, one for each case; see `vector_target`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import alts
from alts import handshaker, services
from alts.services._issuing import ISSUING_SCHEMA
from alts.services._proofs import check_proof
from alts_schema import handshaker_pb2, issuance_pb2
from alts_schema.issuance_pb2 import (
    EnrolRequest,
    EnrolResponse,
    ProvenKey,
    ReportRequest,
    RevocationRange,
    SignedMaster,
    SignMasterRequest,
)
from alts_vectors.services_target import (
    KeyAnswer,
    MasterRequest,
    RevocationStep,
    RotationAnswer,
    RotationStep,
    Running,
    SignedAnswer,
)
from alts_vectors.target import EndpointSettings

_BINDING = bytes(32)
_CLUSTER, _OPERATOR, _NODE = "test/cluster-master", "test/operator", "test/machine/1"


def _caller(identity: str) -> alts.Peer:
    """An authenticated machine."""
    return alts.Peer(identity, alts.Category.MACHINE, "test/ca", "", (0, 0), 0, bytes(32), bytes(32))


def _status(act: Callable[[], object]) -> str:
    """The status of a call; what is no certificate is the answering service's fault."""
    try:
        act()
    except services.RequestRefused as refusal:
        return refusal.status.name
    except alts.PeerViolation:
        return services.Status.INTERNAL.name
    return "OK"


def _request(asked: MasterRequest) -> SignMasterRequest:
    return SignMasterRequest(
        key=ProvenKey(request=asked.request, proof=asked.proof),
        not_before=asked.not_before,
        not_after=asked.not_after,
        revocation_id=asked.revocation_id,
    )


class ServicesTarget:
    """`alts` as a `ServicesUnderTest`."""

    def key_request(self, request: bytes, proof: bytes, requester: str, binding: bytes | None) -> KeyAnswer:
        """SPEC 13.1.3."""
        try:
            key = check_proof(ProvenKey(request=request, proof=proof), requester=requester, binding=binding)
        except services.RequestRefused as refusal:
            return KeyAnswer(refusal.status.name)
        return KeyAnswer(
            "OK",
            int(key.category),
            key.identity,
            key.public_key,
            tuple(key.handshake_ciphers),
            tuple(key.workload_identities),
        )

    def sign_masters(self, signing_seed: bytes, requests: Sequence[MasterRequest], caller: str) -> list[SignedAnswer]:
        """SPEC 13.1.4."""
        core = services.SigningCore(None, lambda: 0.0, lambda size: signing_seed[:size])
        answers = []
        for asked in requests:
            try:
                answers.append(SignedAnswer("OK", core.sign(_request(asked), caller).certificate))
            except services.RequestRefused as refusal:
                answers.append(SignedAnswer(refusal.status.name))
        core.close()
        return answers

    def answered_master(self, request: MasterRequest, issuer: str, certificate: bytes) -> tuple[str, bytes]:
        """SPEC 13.1.4: an issuer that has this one ID makes the request, and gets the answer."""
        store = services.Store(None, 1, ISSUING_SCHEMA)
        issuing = services.Issuing(store, issuer, lambda: 0.0)
        issuing.add_range(_range(request.revocation_id & (1 << 56) - 1, 1))
        key = ProvenKey(request=request.request, proof=request.proof)
        check_proof(key, requester=issuer)
        with store.write() as tx:
            pending = issuing.begin(tx, key, not_before=request.not_before, not_after=request.not_after)
        if pending.request != _request(request):
            raise AssertionError("the issuer asks for something else")

        def complete() -> None:
            with store.write() as tx:
                issuing.complete(tx, pending, certificate)

        status = _status(complete)
        digests = [mapping.certificate_digest for mapping in issuing.unreported()]
        store.close()
        return status, b"".join(digests)

    def revocation_ids(
        self, issuers: Sequence[str], steps: Sequence[RevocationStep]
    ) -> tuple[list[tuple[str, int | None]], Mapping[int, bytes]]:
        """SPEC 13.1.10."""
        core = services.CrlCore(None, lambda: 0.0, lambda *_: b"", services.CrlSettings(tuple(issuers)))
        answers: list[tuple[str, int | None]] = []
        reported = {step.number for step in steps if step.action == "report"}
        for step in steps:
            caller, first = _caller(step.caller), list[int]()
            if step.action == "grant":
                status = _status(partial(_grant, core, step.number, caller, first))
            else:
                mapping = issuance_pb2.Mapping(
                    revocation_id=step.number, certificate_digest=step.digest, identity="test/machine/1"
                )
                status = _status(partial(core.report, ReportRequest(mappings=[mapping]), caller))
            answers.append((status, first[0] if first else None))
        known = {number: found[1] for number in reported if (found := core.mapping(number)) is not None}
        core.close()
        return answers, known

    def rotation(self, patterns: Sequence[str], steps: Sequence[RotationStep]) -> list[RotationAnswer]:
        """SPEC 13.1.9."""
        cluster = _Cluster(patterns)
        answers = [cluster.step(step) for step in steps]
        cluster.close()
        return answers

    def enrolment(
        self, token: bytes, token_id: bytes, nonce: bytes, request: bytes, proof: bytes, certificate: bytes
    ) -> tuple[bytes, bytes, bytes]:
        """SPEC 13.1.6."""
        asked = EnrolRequest(token_id=token_id, nonce=nonce, key=ProvenKey(request=request, proof=proof))
        asked.mac = services.enrolment_request_mac(token, asked)
        answer = EnrolResponse(master=SignedMaster(certificate=certificate))
        binding = services.enrolment_binding(token_id, nonce)
        return binding, asked.mac, services.enrolment_response_mac(token, asked, answer)

    def handshaker_start(self, settings: EndpointSettings, request: bytes) -> tuple[str, bytes]:
        """SPEC 9.2 to 9.6."""
        from .vector_target import configuration_of, environment_of, trust_of  # which is built on this module

        credential = configuration_of(settings).credential
        identities = handshaker.Identities.of(credential, [], trust_of(settings))
        session = handshaker.HandshakerSession(identities, environment_of(settings))
        try:
            response = session.receive(request)
        except handshaker.RequestError as error:
            return error.status.name, b""
        return ("OK" if response.status == handshaker_pb2.HandshakerStatus() else "peer"), response.out_frames


def _range(first: int, count: int) -> RevocationRange:
    """A range as the CRL service grants it."""
    return RevocationRange(first=first, count=count)


def _grant(core: services.CrlCore, count: int, caller: alts.Peer, first: list[int]) -> None:
    first.append(core.grant(count, caller).first)


class _Cluster:
    """A cluster master with a Signing Service and as many revocation IDs as it wants."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.now = 0
        self.bases = 0
        source = random.Random(0).randbytes
        self.signing = services.SigningCore(None, self._clock, source)
        settings = services.ClusterSettings(
            "cell-1", tuple(patterns), (services.MayRun(_OPERATOR, "**"),), (_OPERATOR,)
        )
        self.core = services.ClusterCore(None, _CLUSTER, self._clock, source, settings)
        self.core.issuing.add_range(_range(1 << 16, 4096))

    def _clock(self) -> float:
        return float(self.now)

    def step(self, step: RotationStep) -> RotationAnswer:
        """One step, and how things stand."""
        self.now = step.now
        match step.action:
            case "schedule":
                status = _status(
                    lambda: self.core.schedule(bytes.fromhex(step.workload), step.identity, _NODE, _caller(_OPERATOR))
                )
            case "stop":
                status = _status(lambda: self.core.stop(step.workload, _caller(_OPERATOR)))
            case "rotate":
                status = _status(self._rotate)
            case _:
                status = _status(self._rotate) if self.core.rotation_due else "OK"
        return RotationAnswer(status, self.bases, tuple(self._running()))

    def _rotate(self) -> None:
        pending = self.core.begin_rotation(_BINDING)
        certificate = pending.certificate or self.signing.sign(pending.request, _CLUSTER).certificate
        self.bases = self.core.complete_rotation(pending, certificate)

    def _running(self) -> list[Running]:
        response = self.core.assignments(_caller(_NODE), 0)
        assert response is not None
        found = []
        for assignment in response.assignments:
            credential, _ = services.open_bundle(assignment.credential)
            parsed = credential.parsed.body
            found.append(
                Running(
                    assignment.workload,
                    parsed.identity,
                    parsed.not_before,
                    parsed.not_after,
                    tuple(key.epoch for key in assignment.credential.resumption_keys),
                    parsed.revocation_id,
                )
            )
        return found

    def close(self) -> None:
        """Close the databases."""
        self.signing.close()
        self.core.close()
