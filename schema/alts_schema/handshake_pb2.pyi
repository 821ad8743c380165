from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    FULL: _ClassVar[Mode]
    CLIENT_TICKET: _ClassVar[Mode]
    SERVER_TICKET: _ClassVar[Mode]
MODE_UNSPECIFIED: Mode
FULL: Mode
CLIENT_TICKET: Mode
SERVER_TICKET: Mode

class Version(_message.Message):
    __slots__ = ("major", "minor")
    MAJOR_FIELD_NUMBER: _ClassVar[int]
    MINOR_FIELD_NUMBER: _ClassVar[int]
    major: int
    minor: int
    def __init__(self, major: _Optional[int] = ..., minor: _Optional[int] = ...) -> None: ...

class RpcVersions(_message.Message):
    __slots__ = ("max", "min")
    MAX_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    max: Version
    min: Version
    def __init__(self, max: _Optional[_Union[Version, _Mapping]] = ..., min: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class KeyShare(_message.Message):
    __slots__ = ("handshake_cipher", "share")
    HANDSHAKE_CIPHER_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    handshake_cipher: str
    share: bytes
    def __init__(self, handshake_cipher: _Optional[str] = ..., share: _Optional[bytes] = ...) -> None: ...

class PresentedTicket(_message.Message):
    __slots__ = ("resumption_id", "key_epoch", "ticket")
    RESUMPTION_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    resumption_id: bytes
    key_epoch: int
    ticket: bytes
    def __init__(self, resumption_id: _Optional[bytes] = ..., key_epoch: _Optional[int] = ..., ticket: _Optional[bytes] = ...) -> None: ...

class IssuedTicket(_message.Message):
    __slots__ = ("resumption_id", "key_epoch", "lifetime_seconds", "ticket")
    RESUMPTION_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_EPOCH_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    resumption_id: bytes
    key_epoch: int
    lifetime_seconds: int
    ticket: bytes
    def __init__(self, resumption_id: _Optional[bytes] = ..., key_epoch: _Optional[int] = ..., lifetime_seconds: _Optional[int] = ..., ticket: _Optional[bytes] = ...) -> None: ...

class ClientInit(_message.Message):
    __slots__ = ("version", "nonce", "certificate", "handshake_ciphers", "record_protocols", "key_shares", "application_protocols", "rpc_versions", "max_frame_size", "resumption_id", "ticket_key_epochs", "ticket")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_CIPHERS_FIELD_NUMBER: _ClassVar[int]
    RECORD_PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    KEY_SHARES_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    RPC_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    RESUMPTION_ID_FIELD_NUMBER: _ClassVar[int]
    TICKET_KEY_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    version: int
    nonce: bytes
    certificate: bytes
    handshake_ciphers: _containers.RepeatedScalarFieldContainer[str]
    record_protocols: _containers.RepeatedScalarFieldContainer[str]
    key_shares: _containers.RepeatedCompositeFieldContainer[KeyShare]
    application_protocols: _containers.RepeatedScalarFieldContainer[str]
    rpc_versions: RpcVersions
    max_frame_size: int
    resumption_id: bytes
    ticket_key_epochs: _containers.RepeatedScalarFieldContainer[int]
    ticket: PresentedTicket
    def __init__(self, version: _Optional[int] = ..., nonce: _Optional[bytes] = ..., certificate: _Optional[bytes] = ..., handshake_ciphers: _Optional[_Iterable[str]] = ..., record_protocols: _Optional[_Iterable[str]] = ..., key_shares: _Optional[_Iterable[_Union[KeyShare, _Mapping]]] = ..., application_protocols: _Optional[_Iterable[str]] = ..., rpc_versions: _Optional[_Union[RpcVersions, _Mapping]] = ..., max_frame_size: _Optional[int] = ..., resumption_id: _Optional[bytes] = ..., ticket_key_epochs: _Optional[_Iterable[int]] = ..., ticket: _Optional[_Union[PresentedTicket, _Mapping]] = ...) -> None: ...

class ServerInit(_message.Message):
    __slots__ = ("version", "nonce", "mode", "certificate", "handshake_cipher", "record_protocol", "application_protocol", "rpc_versions", "max_frame_size", "key_share", "ticket")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_CIPHER_FIELD_NUMBER: _ClassVar[int]
    RECORD_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RPC_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    KEY_SHARE_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    version: int
    nonce: bytes
    mode: Mode
    certificate: bytes
    handshake_cipher: str
    record_protocol: str
    application_protocol: str
    rpc_versions: RpcVersions
    max_frame_size: int
    key_share: bytes
    ticket: PresentedTicket
    def __init__(self, version: _Optional[int] = ..., nonce: _Optional[bytes] = ..., mode: _Optional[_Union[Mode, str]] = ..., certificate: _Optional[bytes] = ..., handshake_cipher: _Optional[str] = ..., record_protocol: _Optional[str] = ..., application_protocol: _Optional[str] = ..., rpc_versions: _Optional[_Union[RpcVersions, _Mapping]] = ..., max_frame_size: _Optional[int] = ..., key_share: _Optional[bytes] = ..., ticket: _Optional[_Union[PresentedTicket, _Mapping]] = ...) -> None: ...

class ServerFinished(_message.Message):
    __slots__ = ("authenticator", "ticket_authenticator", "ticket")
    AUTHENTICATOR_FIELD_NUMBER: _ClassVar[int]
    TICKET_AUTHENTICATOR_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    authenticator: bytes
    ticket_authenticator: bytes
    ticket: IssuedTicket
    def __init__(self, authenticator: _Optional[bytes] = ..., ticket_authenticator: _Optional[bytes] = ..., ticket: _Optional[_Union[IssuedTicket, _Mapping]] = ...) -> None: ...

class ClientFinished(_message.Message):
    __slots__ = ("authenticator", "ticket_authenticator", "ticket")
    AUTHENTICATOR_FIELD_NUMBER: _ClassVar[int]
    TICKET_AUTHENTICATOR_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    authenticator: bytes
    ticket_authenticator: bytes
    ticket: IssuedTicket
    def __init__(self, authenticator: _Optional[bytes] = ..., ticket_authenticator: _Optional[bytes] = ..., ticket: _Optional[_Union[IssuedTicket, _Mapping]] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("code",)
    CODE_FIELD_NUMBER: _ClassVar[int]
    code: int
    def __init__(self, code: _Optional[int] = ...) -> None: ...
