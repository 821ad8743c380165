"""The services' RPCs: handlers and calls made from the descriptors of `issuance.proto`, over ALTS (SPEC 13.1.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpclib.client
import grpclib.const
import grpclib.exceptions
import grpclib.server
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from alts_schema import issuance_pb2

from .. import grpclib_adapter
from .._errors import AltsError, PeerViolation, UsageError
from ._errors import RequestRefused, Status, StoreError
from ._holder import RotatingChannel

if TYPE_CHECKING:
    from .._trust import Peer
    from ._book import AddressBook
    from ._holder import CredentialHolder

logger = logging.getLogger("alts.services")
CALL_SECONDS = 10.0
CONNECT_ATTEMPTS = 3
_BACKOFF = 0.2
_MALFORMED = (DecodeError, NotImplementedError, AssertionError)
"""What grpclib raises where a message is none, is compressed, or ends before it should."""
_MALFORMED_ANSWER = (*_MALFORMED, ValueError, LookupError)
"""The same, and what it raises for headers that are wrong or missing."""
_LONGEST_DETAIL = 500

Methods = Mapping[str, Callable[[Any, Any], Awaitable[Message]]]
"""Methods of a service by name: async functions of the request and the `Caller` (None where there is no ALTS)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, on which connection: the transcript hash is what proofs of possession are bound to."""

    peer: Peer
    binding: bytes


class Service:
    """One gRPC service for a grpclib server.

    Args:
        name: of the service in `issuance.proto`.
        methods: see `Methods`.
        trusts: asked at each call about the peer of a connection that lives on; False refuses the call.
        protected: False for the one service that is spoken in clear.
    """

    def __init__(
        self,
        name: str,
        methods: Methods,
        trusts: Callable[[Peer], bool] = lambda peer: True,
        *,
        protected: bool = True,
    ) -> None:
        self._descriptor = issuance_pb2.DESCRIPTOR.services_by_name[name]
        assert set(methods) == {method.name for method in self._descriptor.methods}
        self._methods = methods
        self._trusts = trusts
        self._protected = protected
        # Entered while a whole request is worked on, and no longer: how long the answer takes is up to the caller.
        self.around: Callable[[grpclib.server.Stream[Any, Any]], AbstractContextManager[None]] = _nothing

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        """As grpclib wants it."""
        return {
            f"/{self._descriptor.full_name}/{method.name}": grpclib.const.Handler(
                self._handler(method.name, self._methods[method.name]),
                grpclib.const.Cardinality.UNARY_UNARY,
                GetMessageClass(method.input_type),
                GetMessageClass(method.output_type),
            )
            for method in self._descriptor.methods
        }

    def _handler(
        self, name: str, method: Callable[[Any, Any], Awaitable[Message]]
    ) -> Callable[[grpclib.server.Stream[Any, Any]], Awaitable[None]]:
        async def handle(stream: grpclib.server.Stream[Any, Any]) -> None:
            try:
                request = await stream.recv_message()
            except _MALFORMED:
                logger.info("%s refused: malformed request", name)
                raise _status(Status.INVALID_ARGUMENT, "malformed request") from None
            if request is None:
                raise _status(Status.INVALID_ARGUMENT, "no request")
            try:
                with self.around(stream):
                    response = await method(request, self._caller(stream))
                await stream.send_message(response)
            except RequestRefused as refusal:
                logger.info("%s refused: %s", name, refusal)
                raise _status(refusal.status, refusal.detail) from None
            except StoreError as error:
                logger.error("%s: %s", name, error)
                raise _status(Status.UNAVAILABLE, "the service's database does not answer") from None
            except (AltsError, OSError, TimeoutError) as error:
                logger.warning("%s: %s", name, error)
                raise _status(Status.UNAVAILABLE, f"another service is needed and failed: {error}") from None
            except (grpclib.exceptions.GRPCError, asyncio.CancelledError):
                raise
            except Exception:
                logger.exception("%s: internal error", name)
                raise _status(Status.INTERNAL, "internal error; see the service's log") from None

        return handle

    def _caller(self, stream: grpclib.server.Stream[Any, Any]) -> Caller | None:
        if not self._protected:
            return None
        peer = grpclib_adapter.peer_of(stream)
        if not self._trusts(peer):
            raise RequestRefused(Status.UNAUTHENTICATED, "the caller's certificate is not accepted any more")
        return Caller(peer, grpclib_adapter.evidence_of(stream).transcript_hash)


def _nothing(stream: grpclib.server.Stream[Any, Any]) -> AbstractContextManager[None]:
    return nullcontext()


def _status(status: Status, detail: str) -> grpclib.exceptions.GRPCError:
    return grpclib.exceptions.GRPCError(grpclib.const.Status(int(status)), detail)


async def call(channel: grpclib.client.Channel, service: str, method: str, request: Message, timeout: float) -> Any:
    """Make one call.

    Raises:
        RequestRefused: what the service said; INTERNAL: its answer is malformed.
        PeerViolation: the handshake failed.
        OSError, TimeoutError: no connection, or no answer in time.
    """
    descriptor = issuance_pb2.DESCRIPTOR.services_by_name[service].methods_by_name[method]
    stub: grpclib.client.UnaryUnaryMethod[Any, Any] = grpclib.client.UnaryUnaryMethod(
        channel,
        f"/{issuance_pb2.DESCRIPTOR.services_by_name[service].full_name}/{method}",
        GetMessageClass(descriptor.input_type),
        GetMessageClass(descriptor.output_type),
    )
    try:
        return await stub(request, timeout=timeout)
    except grpclib.exceptions.GRPCError as error:
        try:
            status = Status(error.status.value)
        except ValueError:
            status = Status.UNAVAILABLE
        raise RequestRefused(status, _plain(error.message or error.status.name)) from None
    except grpclib.exceptions.StreamTerminatedError as error:
        raise ConnectionResetError(f"{service}: {error}") from None
    except _MALFORMED_ANSWER as error:
        raise RequestRefused(Status.INTERNAL, "the answer is malformed") from error


def _plain(text: str) -> str:
    """Return what another side says as one line that is fit for a log and a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:_LONGEST_DETAIL])


class Remote:
    """Another service, wherever it is now: found in the address book, authenticated by its identity (TRUST-2).

    Args:
        service: name of the service in `issuance.proto`.
        name: of the service in the address book.
        identity: that it must have.
        book: where it listens.
        connect: makes a channel to an address.
    """

    def __init__(
        self,
        service: str,
        name: str,
        identity: str,
        book: AddressBook,
        connect: Callable[[str, int, str], RotatingChannel],
    ) -> None:
        self._service = service
        self._name = name
        self._identity = identity
        self._book = book
        self._connect = connect
        self._channel: RotatingChannel | None = None
        self._address: tuple[str, int] | None = None

    async def call(
        self, method: str, request: Message, *, timeout: float = CALL_SECONDS, attempts: int = CONNECT_ATTEMPTS
    ) -> Any:
        """Call, and call again where the connection broke: every call of these services may be repeated.

        Raises:
            As `call`.
        """
        for attempt in range(1, attempts + 1):
            try:
                return await call(self._open(), self._service, method, request, timeout)
            except (OSError, TimeoutError):
                self.close()
                if attempt == attempts:
                    raise
                await asyncio.sleep(_BACKOFF * attempt)
        raise UsageError("at least one attempt has to be made")

    async def binding(self) -> bytes:
        """Return the transcript hash of the connection that the next call goes over.

        Raises:
            PeerViolation, OSError: no connection.
        """
        try:
            return await self._open().connect()
        except (OSError, PeerViolation):
            self.close()
            raise

    def _open(self) -> RotatingChannel:
        address = self._book.find(self._name)
        if self._channel is None or address != self._address:
            self.close()
            self._channel, self._address = self._connect(*address, self._identity), address
        return self._channel

    def close(self) -> None:
        """Close the connection; the next call makes another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def connector(holder: CredentialHolder, **options: Any) -> Callable[[str, int, str], RotatingChannel]:
    """Return what makes channels with the holder's credentials."""
    return lambda host, port, identity: RotatingChannel(host, port, holder, {identity}, **options)
