"""ALTS for asyncio, shaped like asyncio's own TLS support: any asyncio protocol runs over it unchanged (TRUST-6).

`create_connection` and `create_server` take the application's protocol; `open_connection` and `start_server` give
streams. What an application may want to know of its peer is in the transport's `get_extra_info` (TRUST-5).
"""

from ._client import HANDSHAKE_TIMEOUT, SYSTEM, create_connection, open_connection
from ._link import ConfigurationSource
from ._server import MAX_CONCURRENT_HANDSHAKES, Server, create_server, log_handshake_failure, start_server
from ._transport import AltsTransport

__all__ = [
    "HANDSHAKE_TIMEOUT",
    "MAX_CONCURRENT_HANDSHAKES",
    "SYSTEM",
    "AltsTransport",
    "ConfigurationSource",
    "Server",
    "create_connection",
    "create_server",
    "log_handshake_failure",
    "open_connection",
    "start_server",
]
