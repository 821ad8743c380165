"""The handshaker service: lets gRPC stacks hold connections whose handshake this package runs (SPEC 9; TRUST-6).

`HandshakerSession` is one handshake, sans-IO. `HandshakerService` serves many over grpc.aio.
"""

from ._errors import RequestError, Status
from ._identities import Identities
from ._service import HandshakerService, Limits, ListenError
from ._session import MAX_IN_BYTES, MAX_REQUESTS, HandshakerSession

__all__ = [
    "MAX_IN_BYTES",
    "MAX_REQUESTS",
    "HandshakerService",
    "HandshakerSession",
    "Identities",
    "Limits",
    "ListenError",
    "RequestError",
    "Status",
]
