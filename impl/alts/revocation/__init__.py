"""Revocation: the signed file of revoked IDs, made by the CRL service and asked in every handshake (SPEC 13.3).

`RevocationCompiler` publishes it, `RevocationStore` keeps one in force on a machine; its `is_revoked` is for `Trust`.
What refuses a file (`SignedFileRefused` and below) is in `alts.policy`, as for policy files.
"""

from ._encoding import MAX_IDS
from ._file import MAX_FILE_SIZE, RevocationCompiler, RevocationStore, compile_revocations, open_revocations

__all__ = [
    "MAX_FILE_SIZE",
    "MAX_IDS",
    "RevocationCompiler",
    "RevocationStore",
    "compile_revocations",
    "open_revocations",
]
