from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HandshakeProtocol(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HANDSHAKE_PROTOCOL_UNSPECIFIED: _ClassVar[HandshakeProtocol]
    TLS: _ClassVar[HandshakeProtocol]
    ALTS: _ClassVar[HandshakeProtocol]

class NetworkProtocol(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NETWORK_PROTOCOL_UNSPECIFIED: _ClassVar[NetworkProtocol]
    TCP: _ClassVar[NetworkProtocol]
    UDP: _ClassVar[NetworkProtocol]

class SecurityLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SECURITY_NONE: _ClassVar[SecurityLevel]
    INTEGRITY_ONLY: _ClassVar[SecurityLevel]
    INTEGRITY_AND_PRIVACY: _ClassVar[SecurityLevel]
HANDSHAKE_PROTOCOL_UNSPECIFIED: HandshakeProtocol
TLS: HandshakeProtocol
ALTS: HandshakeProtocol
NETWORK_PROTOCOL_UNSPECIFIED: NetworkProtocol
TCP: NetworkProtocol
UDP: NetworkProtocol
SECURITY_NONE: SecurityLevel
INTEGRITY_ONLY: SecurityLevel
INTEGRITY_AND_PRIVACY: SecurityLevel

class RpcProtocolVersions(_message.Message):
    __slots__ = ("max_rpc_version", "min_rpc_version")
    class Version(_message.Message):
        __slots__ = ("major", "minor")
        MAJOR_FIELD_NUMBER: _ClassVar[int]
        MINOR_FIELD_NUMBER: _ClassVar[int]
        major: int
        minor: int
        def __init__(self, major: _Optional[int] = ..., minor: _Optional[int] = ...) -> None: ...
    MAX_RPC_VERSION_FIELD_NUMBER: _ClassVar[int]
    MIN_RPC_VERSION_FIELD_NUMBER: _ClassVar[int]
    max_rpc_version: RpcProtocolVersions.Version
    min_rpc_version: RpcProtocolVersions.Version
    def __init__(self, max_rpc_version: _Optional[_Union[RpcProtocolVersions.Version, _Mapping]] = ..., min_rpc_version: _Optional[_Union[RpcProtocolVersions.Version, _Mapping]] = ...) -> None: ...

class TransportProtocolPreferences(_message.Message):
    __slots__ = ("transport_protocol",)
    TRANSPORT_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    transport_protocol: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, transport_protocol: _Optional[_Iterable[str]] = ...) -> None: ...

class NegotiatedTransportProtocol(_message.Message):
    __slots__ = ("transport_protocol",)
    TRANSPORT_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    transport_protocol: str
    def __init__(self, transport_protocol: _Optional[str] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("ip_address", "port", "protocol")
    IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    ip_address: str
    port: int
    protocol: NetworkProtocol
    def __init__(self, ip_address: _Optional[str] = ..., port: _Optional[int] = ..., protocol: _Optional[_Union[NetworkProtocol, str]] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("service_account", "hostname", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    service_account: str
    hostname: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, service_account: _Optional[str] = ..., hostname: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class StartClientHandshakeReq(_message.Message):
    __slots__ = ("handshake_security_protocol", "application_protocols", "record_protocols", "target_identities", "local_identity", "local_endpoint", "remote_endpoint", "target_name", "rpc_versions", "max_frame_size", "access_token", "transport_protocol_preferences")
    HANDSHAKE_SECURITY_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    RECORD_PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    TARGET_IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    LOCAL_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    LOCAL_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    TARGET_NAME_FIELD_NUMBER: _ClassVar[int]
    RPC_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_PROTOCOL_PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    handshake_security_protocol: HandshakeProtocol
    application_protocols: _containers.RepeatedScalarFieldContainer[str]
    record_protocols: _containers.RepeatedScalarFieldContainer[str]
    target_identities: _containers.RepeatedCompositeFieldContainer[Identity]
    local_identity: Identity
    local_endpoint: Endpoint
    remote_endpoint: Endpoint
    target_name: str
    rpc_versions: RpcProtocolVersions
    max_frame_size: int
    access_token: str
    transport_protocol_preferences: TransportProtocolPreferences
    def __init__(self, handshake_security_protocol: _Optional[_Union[HandshakeProtocol, str]] = ..., application_protocols: _Optional[_Iterable[str]] = ..., record_protocols: _Optional[_Iterable[str]] = ..., target_identities: _Optional[_Iterable[_Union[Identity, _Mapping]]] = ..., local_identity: _Optional[_Union[Identity, _Mapping]] = ..., local_endpoint: _Optional[_Union[Endpoint, _Mapping]] = ..., remote_endpoint: _Optional[_Union[Endpoint, _Mapping]] = ..., target_name: _Optional[str] = ..., rpc_versions: _Optional[_Union[RpcProtocolVersions, _Mapping]] = ..., max_frame_size: _Optional[int] = ..., access_token: _Optional[str] = ..., transport_protocol_preferences: _Optional[_Union[TransportProtocolPreferences, _Mapping]] = ...) -> None: ...

class ServerHandshakeParameters(_message.Message):
    __slots__ = ("record_protocols", "local_identities", "token")
    RECORD_PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    record_protocols: _containers.RepeatedScalarFieldContainer[str]
    local_identities: _containers.RepeatedCompositeFieldContainer[Identity]
    token: str
    def __init__(self, record_protocols: _Optional[_Iterable[str]] = ..., local_identities: _Optional[_Iterable[_Union[Identity, _Mapping]]] = ..., token: _Optional[str] = ...) -> None: ...

class StartServerHandshakeReq(_message.Message):
    __slots__ = ("application_protocols", "handshake_parameters", "in_bytes", "local_endpoint", "remote_endpoint", "rpc_versions", "max_frame_size", "transport_protocol_preferences")
    class HandshakeParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: ServerHandshakeParameters
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[ServerHandshakeParameters, _Mapping]] = ...) -> None: ...
    APPLICATION_PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKE_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    IN_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOCAL_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    RPC_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_PROTOCOL_PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    application_protocols: _containers.RepeatedScalarFieldContainer[str]
    handshake_parameters: _containers.MessageMap[int, ServerHandshakeParameters]
    in_bytes: bytes
    local_endpoint: Endpoint
    remote_endpoint: Endpoint
    rpc_versions: RpcProtocolVersions
    max_frame_size: int
    transport_protocol_preferences: TransportProtocolPreferences
    def __init__(self, application_protocols: _Optional[_Iterable[str]] = ..., handshake_parameters: _Optional[_Mapping[int, ServerHandshakeParameters]] = ..., in_bytes: _Optional[bytes] = ..., local_endpoint: _Optional[_Union[Endpoint, _Mapping]] = ..., remote_endpoint: _Optional[_Union[Endpoint, _Mapping]] = ..., rpc_versions: _Optional[_Union[RpcProtocolVersions, _Mapping]] = ..., max_frame_size: _Optional[int] = ..., transport_protocol_preferences: _Optional[_Union[TransportProtocolPreferences, _Mapping]] = ...) -> None: ...

class NextHandshakeMessageReq(_message.Message):
    __slots__ = ("in_bytes", "network_latency_ms")
    IN_BYTES_FIELD_NUMBER: _ClassVar[int]
    NETWORK_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    in_bytes: bytes
    network_latency_ms: int
    def __init__(self, in_bytes: _Optional[bytes] = ..., network_latency_ms: _Optional[int] = ...) -> None: ...

class HandshakerReq(_message.Message):
    __slots__ = ("client_start", "server_start", "next")
    CLIENT_START_FIELD_NUMBER: _ClassVar[int]
    SERVER_START_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    client_start: StartClientHandshakeReq
    server_start: StartServerHandshakeReq
    next: NextHandshakeMessageReq
    def __init__(self, client_start: _Optional[_Union[StartClientHandshakeReq, _Mapping]] = ..., server_start: _Optional[_Union[StartServerHandshakeReq, _Mapping]] = ..., next: _Optional[_Union[NextHandshakeMessageReq, _Mapping]] = ...) -> None: ...

class HandshakerResult(_message.Message):
    __slots__ = ("application_protocol", "record_protocol", "key_data", "peer_identity", "local_identity", "keep_channel_open", "peer_rpc_versions", "max_frame_size", "transport_protocol")
    APPLICATION_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RECORD_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    KEY_DATA_FIELD_NUMBER: _ClassVar[int]
    PEER_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    LOCAL_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    KEEP_CHANNEL_OPEN_FIELD_NUMBER: _ClassVar[int]
    PEER_RPC_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    application_protocol: str
    record_protocol: str
    key_data: bytes
    peer_identity: Identity
    local_identity: Identity
    keep_channel_open: bool
    peer_rpc_versions: RpcProtocolVersions
    max_frame_size: int
    transport_protocol: NegotiatedTransportProtocol
    def __init__(self, application_protocol: _Optional[str] = ..., record_protocol: _Optional[str] = ..., key_data: _Optional[bytes] = ..., peer_identity: _Optional[_Union[Identity, _Mapping]] = ..., local_identity: _Optional[_Union[Identity, _Mapping]] = ..., keep_channel_open: _Optional[bool] = ..., peer_rpc_versions: _Optional[_Union[RpcProtocolVersions, _Mapping]] = ..., max_frame_size: _Optional[int] = ..., transport_protocol: _Optional[_Union[NegotiatedTransportProtocol, _Mapping]] = ...) -> None: ...

class HandshakerStatus(_message.Message):
    __slots__ = ("code", "details")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    code: int
    details: str
    def __init__(self, code: _Optional[int] = ..., details: _Optional[str] = ...) -> None: ...

class HandshakerResp(_message.Message):
    __slots__ = ("out_frames", "bytes_consumed", "result", "status")
    OUT_FRAMES_FIELD_NUMBER: _ClassVar[int]
    BYTES_CONSUMED_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    out_frames: bytes
    bytes_consumed: int
    result: HandshakerResult
    status: HandshakerStatus
    def __init__(self, out_frames: _Optional[bytes] = ..., bytes_consumed: _Optional[int] = ..., result: _Optional[_Union[HandshakerResult, _Mapping]] = ..., status: _Optional[_Union[HandshakerStatus, _Mapping]] = ...) -> None: ...

class AltsContext(_message.Message):
    __slots__ = ("application_protocol", "record_protocol", "security_level", "peer_service_account", "local_service_account", "peer_rpc_versions", "peer_attributes")
    class PeerAttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    APPLICATION_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RECORD_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SECURITY_LEVEL_FIELD_NUMBER: _ClassVar[int]
    PEER_SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    LOCAL_SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    PEER_RPC_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    PEER_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    application_protocol: str
    record_protocol: str
    security_level: SecurityLevel
    peer_service_account: str
    local_service_account: str
    peer_rpc_versions: RpcProtocolVersions
    peer_attributes: _containers.ScalarMap[str, str]
    def __init__(self, application_protocol: _Optional[str] = ..., record_protocol: _Optional[str] = ..., security_level: _Optional[_Union[SecurityLevel, str]] = ..., peer_service_account: _Optional[str] = ..., local_service_account: _Optional[str] = ..., peer_rpc_versions: _Optional[_Union[RpcProtocolVersions, _Mapping]] = ..., peer_attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...
