from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Category(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CATEGORY_UNSPECIFIED: _ClassVar[Category]
    HUMAN: _ClassVar[Category]
    MACHINE: _ClassVar[Category]
    WORKLOAD: _ClassVar[Category]

class SignatureScheme(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNATURE_SCHEME_UNSPECIFIED: _ClassVar[SignatureScheme]
    ED25519: _ClassVar[SignatureScheme]
    ECDSA_P256_SHA256: _ClassVar[SignatureScheme]
    RSA_PSS_SHA256: _ClassVar[SignatureScheme]
CATEGORY_UNSPECIFIED: Category
HUMAN: Category
MACHINE: Category
WORKLOAD: Category
SIGNATURE_SCHEME_UNSPECIFIED: SignatureScheme
ED25519: SignatureScheme
ECDSA_P256_SHA256: SignatureScheme
RSA_PSS_SHA256: SignatureScheme

class MasterCertificate(_message.Message):
    __slots__ = ("body", "signature")
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    signature: bytes
    def __init__(self, body: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class MasterCertificateBody(_message.Message):
    __slots__ = ("version", "category", "identity", "issuer", "verification_key_id", "not_before", "not_after", "revocation_id", "scheme", "public_key", "handshake_ciphers", "workload_identities")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_CIPHERS_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    version: int
    category: Category
    identity: str
    issuer: str
    verification_key_id: bytes
    not_before: int
    not_after: int
    revocation_id: int
    scheme: SignatureScheme
    public_key: bytes
    handshake_ciphers: _containers.RepeatedScalarFieldContainer[str]
    workload_identities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[int] = ..., category: _Optional[_Union[Category, str]] = ..., identity: _Optional[str] = ..., issuer: _Optional[str] = ..., verification_key_id: _Optional[bytes] = ..., not_before: _Optional[int] = ..., not_after: _Optional[int] = ..., revocation_id: _Optional[int] = ..., scheme: _Optional[_Union[SignatureScheme, str]] = ..., public_key: _Optional[bytes] = ..., handshake_ciphers: _Optional[_Iterable[str]] = ..., workload_identities: _Optional[_Iterable[str]] = ...) -> None: ...

class HandshakeCertificate(_message.Message):
    __slots__ = ("body", "signature", "master")
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    MASTER_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    signature: bytes
    master: bytes
    def __init__(self, body: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., master: _Optional[bytes] = ...) -> None: ...

class HandshakeCertificateBody(_message.Message):
    __slots__ = ("version", "category", "identity", "master_digest", "not_before", "not_after", "revocation_id", "x25519_public_key", "handshake_ciphers", "boundary")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    MASTER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    X25519_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_CIPHERS_FIELD_NUMBER: _ClassVar[int]
    BOUNDARY_FIELD_NUMBER: _ClassVar[int]
    version: int
    category: Category
    identity: str
    master_digest: bytes
    not_before: int
    not_after: int
    revocation_id: int
    x25519_public_key: bytes
    handshake_ciphers: _containers.RepeatedScalarFieldContainer[str]
    boundary: str
    def __init__(self, version: _Optional[int] = ..., category: _Optional[_Union[Category, str]] = ..., identity: _Optional[str] = ..., master_digest: _Optional[bytes] = ..., not_before: _Optional[int] = ..., not_after: _Optional[int] = ..., revocation_id: _Optional[int] = ..., x25519_public_key: _Optional[bytes] = ..., handshake_ciphers: _Optional[_Iterable[str]] = ..., boundary: _Optional[str] = ...) -> None: ...
