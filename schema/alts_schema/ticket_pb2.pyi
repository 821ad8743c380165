from alts_schema import certificate_pb2 as _certificate_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Party(_message.Message):
    __slots__ = ("category", "identity", "issuer", "boundary", "not_after", "handshake_revocation_id", "master_revocation_id", "certificate_digest", "verification_key_id")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    BOUNDARY_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_REVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    MASTER_REVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    category: _certificate_pb2.Category
    identity: str
    issuer: str
    boundary: str
    not_after: int
    handshake_revocation_id: int
    master_revocation_id: int
    certificate_digest: bytes
    verification_key_id: bytes
    def __init__(self, category: _Optional[_Union[_certificate_pb2.Category, str]] = ..., identity: _Optional[str] = ..., issuer: _Optional[str] = ..., boundary: _Optional[str] = ..., not_after: _Optional[int] = ..., handshake_revocation_id: _Optional[int] = ..., master_revocation_id: _Optional[int] = ..., certificate_digest: _Optional[bytes] = ..., verification_key_id: _Optional[bytes] = ...) -> None: ...

class TicketContents(_message.Message):
    __slots__ = ("version", "secret", "maker", "holder", "handshake_cipher", "created", "full_handshake")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    MAKER_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_CIPHER_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    FULL_HANDSHAKE_FIELD_NUMBER: _ClassVar[int]
    version: int
    secret: bytes
    maker: Party
    holder: Party
    handshake_cipher: str
    created: int
    full_handshake: int
    def __init__(self, version: _Optional[int] = ..., secret: _Optional[bytes] = ..., maker: _Optional[_Union[Party, _Mapping]] = ..., holder: _Optional[_Union[Party, _Mapping]] = ..., handshake_cipher: _Optional[str] = ..., created: _Optional[int] = ..., full_handshake: _Optional[int] = ...) -> None: ...
