from alts_schema import certificate_pb2 as _certificate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FileKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_KIND_UNSPECIFIED: _ClassVar[FileKind]
    REVOCATIONS: _ClassVar[FileKind]
    POLICY: _ClassVar[FileKind]
FILE_KIND_UNSPECIFIED: FileKind
REVOCATIONS: FileKind
POLICY: FileKind

class KeyRequest(_message.Message):
    __slots__ = ("version", "category", "identity", "requester", "scheme", "public_key", "handshake_ciphers", "workload_identities", "binding")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_CIPHERS_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    version: int
    category: _certificate_pb2.Category
    identity: str
    requester: str
    scheme: _certificate_pb2.SignatureScheme
    public_key: bytes
    handshake_ciphers: _containers.RepeatedScalarFieldContainer[str]
    workload_identities: _containers.RepeatedScalarFieldContainer[str]
    binding: bytes
    def __init__(self, version: _Optional[int] = ..., category: _Optional[_Union[_certificate_pb2.Category, str]] = ..., identity: _Optional[str] = ..., requester: _Optional[str] = ..., scheme: _Optional[_Union[_certificate_pb2.SignatureScheme, str]] = ..., public_key: _Optional[bytes] = ..., handshake_ciphers: _Optional[_Iterable[str]] = ..., workload_identities: _Optional[_Iterable[str]] = ..., binding: _Optional[bytes] = ...) -> None: ...

class ProvenKey(_message.Message):
    __slots__ = ("request", "proof")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    proof: bytes
    def __init__(self, request: _Optional[bytes] = ..., proof: _Optional[bytes] = ...) -> None: ...

class SignedMaster(_message.Message):
    __slots__ = ("certificate",)
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    def __init__(self, certificate: _Optional[bytes] = ...) -> None: ...

class SignMasterRequest(_message.Message):
    __slots__ = ("key", "not_before", "not_after", "revocation_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    key: ProvenKey
    not_before: int
    not_after: int
    revocation_id: int
    def __init__(self, key: _Optional[_Union[ProvenKey, _Mapping]] = ..., not_before: _Optional[int] = ..., not_after: _Optional[int] = ..., revocation_id: _Optional[int] = ...) -> None: ...

class LoginRequest(_message.Message):
    __slots__ = ("name", "password", "second_factor", "key")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    SECOND_FACTOR_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    name: str
    password: str
    second_factor: str
    key: ProvenKey
    def __init__(self, name: _Optional[str] = ..., password: _Optional[str] = ..., second_factor: _Optional[str] = ..., key: _Optional[_Union[ProvenKey, _Mapping]] = ...) -> None: ...

class RenewMachineRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: ProvenKey
    def __init__(self, key: _Optional[_Union[ProvenKey, _Mapping]] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("token_id", "nonce", "key", "mac")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    token_id: bytes
    nonce: bytes
    key: ProvenKey
    mac: bytes
    def __init__(self, token_id: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., key: _Optional[_Union[ProvenKey, _Mapping]] = ..., mac: _Optional[bytes] = ...) -> None: ...

class EnrolResponse(_message.Message):
    __slots__ = ("master", "mac")
    MASTER_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    master: SignedMaster
    mac: bytes
    def __init__(self, master: _Optional[_Union[SignedMaster, _Mapping]] = ..., mac: _Optional[bytes] = ...) -> None: ...

class ScheduleRequest(_message.Message):
    __slots__ = ("request_id", "identity", "node")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    identity: str
    node: str
    def __init__(self, request_id: _Optional[bytes] = ..., identity: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class Scheduled(_message.Message):
    __slots__ = ("workload",)
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    workload: str
    def __init__(self, workload: _Optional[str] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("workload",)
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    workload: str
    def __init__(self, workload: _Optional[str] = ...) -> None: ...

class Stopped(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AssignmentsRequest(_message.Message):
    __slots__ = ("after_version", "wait_seconds")
    AFTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    after_version: int
    wait_seconds: int
    def __init__(self, after_version: _Optional[int] = ..., wait_seconds: _Optional[int] = ...) -> None: ...

class AssignmentsResponse(_message.Message):
    __slots__ = ("version", "assignments")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    version: int
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    def __init__(self, version: _Optional[int] = ..., assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("workload", "credential")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    workload: str
    credential: CredentialBundle
    def __init__(self, workload: _Optional[str] = ..., credential: _Optional[_Union[CredentialBundle, _Mapping]] = ...) -> None: ...

class RotateRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Rotated(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class CredentialBundle(_message.Message):
    __slots__ = ("identity", "cell", "certificate", "private_key", "resumption_id", "resumption_keys")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_KEY_FIELD_NUMBER: _ClassVar[int]
    RESUMPTION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUMPTION_KEYS_FIELD_NUMBER: _ClassVar[int]
    identity: str
    cell: str
    certificate: bytes
    private_key: bytes
    resumption_id: bytes
    resumption_keys: _containers.RepeatedCompositeFieldContainer[ResumptionKey]
    def __init__(self, identity: _Optional[str] = ..., cell: _Optional[str] = ..., certificate: _Optional[bytes] = ..., private_key: _Optional[bytes] = ..., resumption_id: _Optional[bytes] = ..., resumption_keys: _Optional[_Iterable[_Union[ResumptionKey, _Mapping]]] = ...) -> None: ...

class ResumptionKey(_message.Message):
    __slots__ = ("epoch", "key")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    key: bytes
    def __init__(self, epoch: _Optional[int] = ..., key: _Optional[bytes] = ...) -> None: ...

class GrantRangeRequest(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class RevocationRange(_message.Message):
    __slots__ = ("first", "count")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    first: int
    count: int
    def __init__(self, first: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("mappings",)
    MAPPINGS_FIELD_NUMBER: _ClassVar[int]
    mappings: _containers.RepeatedCompositeFieldContainer[Mapping]
    def __init__(self, mappings: _Optional[_Iterable[_Union[Mapping, _Mapping]]] = ...) -> None: ...

class Mapping(_message.Message):
    __slots__ = ("revocation_id", "certificate_digest", "identity", "not_after", "replaces", "revoke_at")
    REVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    REVOKE_AT_FIELD_NUMBER: _ClassVar[int]
    revocation_id: int
    certificate_digest: bytes
    identity: str
    not_after: int
    replaces: int
    revoke_at: int
    def __init__(self, revocation_id: _Optional[int] = ..., certificate_digest: _Optional[bytes] = ..., identity: _Optional[str] = ..., not_after: _Optional[int] = ..., replaces: _Optional[int] = ..., revoke_at: _Optional[int] = ...) -> None: ...

class Reported(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("revocation_ids", "reason")
    REVOCATION_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    revocation_ids: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    def __init__(self, revocation_ids: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ...) -> None: ...

class Revoked(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class FetchFileRequest(_message.Message):
    __slots__ = ("kind", "after_sequence", "wait_seconds")
    KIND_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    kind: FileKind
    after_sequence: int
    wait_seconds: int
    def __init__(self, kind: _Optional[_Union[FileKind, str]] = ..., after_sequence: _Optional[int] = ..., wait_seconds: _Optional[int] = ...) -> None: ...

class SignedFile(_message.Message):
    __slots__ = ("sequence", "content")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    content: bytes
    def __init__(self, sequence: _Optional[int] = ..., content: _Optional[bytes] = ...) -> None: ...
