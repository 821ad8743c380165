"""Policy: the document that people write, its lint, the signed file made of it, and the store of a machine (SPEC 13.2).

`read_document` and `check` take the text; `compile_policy` makes the signed file; `PolicyStore` keeps one in force and
its `policy` goes into `Trust`. The envelope, `SignedFileStore` and `Publisher` serve revocation files too (SPEC 13.3).
"""

from .._signed_file import (
    FileBadSignature,
    FileConflict,
    FileDamaged,
    FileNotSigned,
    FileOlder,
    FileTruncated,
    FileUnknownKey,
    FileWrongDeployment,
    Header,
    Kind,
    SignedFileRefused,
    peek,
)
from .._signed_file_publisher import Publisher
from .._signed_file_store import Freshness, InForce, SignedFileStore
from ._compiled import CompiledPolicy, LivePolicy, PolicyStore, compile_policy, open_policy
from ._document import Finding, PolicyDocument, PolicyDocumentError, WrittenRule, read_document, write_document
from ._lint import check, lint
from ._patterns import covers, fresh, intersect, literals_of, realise, shortest_fresh, words

__all__ = [
    "CompiledPolicy",
    "FileBadSignature",
    "FileConflict",
    "FileDamaged",
    "FileNotSigned",
    "FileOlder",
    "FileTruncated",
    "FileUnknownKey",
    "FileWrongDeployment",
    "Finding",
    "Freshness",
    "Header",
    "InForce",
    "Kind",
    "LivePolicy",
    "PolicyDocument",
    "PolicyDocumentError",
    "PolicyStore",
    "Publisher",
    "SignedFileRefused",
    "SignedFileStore",
    "WrittenRule",
    "check",
    "compile_policy",
    "covers",
    "fresh",
    "intersect",
    "lint",
    "literals_of",
    "open_policy",
    "peek",
    "read_document",
    "realise",
    "shortest_fresh",
    "words",
    "write_document",
]
