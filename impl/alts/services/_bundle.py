"""How credentials reach a process: one file, replaced whole, that the process reads along (CRED-6, ISSUE-7).

The node agent writes `credential` into a directory of the workload's own; `FileHolder` looks whether it changed before
each handshake. So a workload is given its first credential, and every later one, without its author doing anything.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alts_schema.issuance_pb2 import CredentialBundle, ResumptionKey

from .._config import Credential
from .._errors import AltsError, ConfigurationError
from .._resumption import Resumption
from .._tickets import ResumptionKeys
from ..realm import _files
from ._beliefs import Beliefs
from ._holder import CredentialHolder
from ._proofs import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .._config import Configuration
    from ..policy import Freshness

CREDENTIAL = "credential"
logger = logging.getLogger("alts.services")


def bundle_of(credential: Credential, keys: ResumptionKeys | None = None, cell: str = "") -> CredentialBundle:
    """Return a bundle with these contents."""
    return CredentialBundle(
        identity=credential.identity,
        cell=cell,
        certificate=credential.certificate,
        private_key=credential.private_key.private_bytes_raw(),
        resumption_id=keys.resumption_id if keys else b"",
        resumption_keys=[ResumptionKey(epoch=e, key=keys.keys[e]) for e in keys.epochs] if keys else [],
    )


def open_bundle(bundle: CredentialBundle) -> tuple[Credential, ResumptionKeys | None]:
    """Return what a bundle holds.

    Raises:
        ConfigurationError: its parts do not belong together.
    """
    if len(bundle.private_key) != 32:
        raise ConfigurationError("credential: the private key is not 32 bytes")
    credential = Credential(bundle.certificate, X25519PrivateKey.from_private_bytes(bundle.private_key))
    if credential.identity != bundle.identity:
        raise ConfigurationError("credential: the certificate is for another identity")
    if not bundle.resumption_id and not bundle.resumption_keys:
        return credential, None
    return credential, ResumptionKeys(bundle.resumption_id, {key.epoch: key.key for key in bundle.resumption_keys})


def write_bundle(directory: Path, bundle: CredentialBundle) -> bool:
    """Put a bundle into a workload's directory, whole and durably; tell whether it is another than the one there.

    Raises:
        ConfigurationError: it cannot be written.
    """
    data = bundle.SerializeToString(deterministic=True)
    with _files.explained(directory):
        directory.mkdir(mode=_files.DIRECTORY_MODE, parents=True, exist_ok=True)
        path = directory / CREDENTIAL
        if path.exists() and path.read_bytes() == data:
            return False
    _files.replace(path, data)
    return True


def read_bundle(directory: Path) -> CredentialBundle:
    """Return the bundle in a workload's directory.

    Raises:
        ConfigurationError: it is missing, damaged, or others may read it.
    """
    path = directory / CREDENTIAL
    try:
        return decode(CredentialBundle, _files.read(path, private=True))
    except AltsError as error:
        raise ConfigurationError(str(error) if isinstance(error, ConfigurationError) else f"{path}: {error}") from None


class FileHolder(CredentialHolder):
    """The credential in a workload's directory, and the beliefs of its machine; both as they are at each handshake.

    What cannot be read is logged once, tried again each time, and the last good one used on.

    Args:
        directory: of the workload, with `credential`.
        trust: trust directory of the machine.
        clock: returns seconds since the epoch.
        resumption: caches; None: full handshakes only, whatever keys the bundle has.
        freshness: how old the revocation file may be.
        options: for every `Configuration` made here.

    Raises:
        ConfigurationError: the trust directory is missing or damaged. A missing credential may come yet.
    """

    def __init__(
        self,
        directory: Path,
        trust: Path,
        clock: Callable[[], float],
        resumption: Resumption | None = None,
        freshness: Freshness | None = None,
        **options: Any,
    ) -> None:
        self.beliefs = Beliefs(trust, clock, freshness)
        super().__init__(self.beliefs.trust, resumption, **options)
        self._directory = directory
        self._seen: tuple[int, int, int] | None = None
        self._said = ""

    @property
    def configuration(self) -> Configuration:
        """See `CredentialHolder`; looks for new files first."""
        self.reload()
        return super().configuration

    def reload(self) -> bool:
        """Look whether there is another credential; tell whether one was taken into use."""
        self.beliefs.refresh()
        try:
            seen = self._stat()
            if seen is None or seen == self._seen:
                return False
            self.update(*open_bundle(read_bundle(self._directory)))
        except ConfigurationError as error:  # it is read again next time: a mode is mended, a descriptor is free again
            if str(error) != self._said:
                logger.warning("%s: %s; the last good credential is used on", self._directory, error)
            self._said = str(error)
            return False
        self._seen, self._said = seen, ""
        return True

    def _stat(self) -> tuple[int, int, int] | None:
        """Return what tells one bundle from the next; None: there is none."""
        path = self._directory / CREDENTIAL
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror or error}") from None
        return status.st_ino, status.st_mtime_ns, status.st_size
