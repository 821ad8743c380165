"""`alts vectors`, with the implementation under test found by its dotted name."""

from __future__ import annotations

import argparse
import importlib
from typing import cast

from alts_vectors import ImplementationUnderTest
from alts_vectors import cli as _cli

add_arguments = _cli.add_arguments


def load_target(dotted: str) -> ImplementationUnderTest:
    """Return the object that `dotted`, ``MODULE:NAME``, names.

    Raises:
        LookupError: there is none; the argument is the reason.
    """
    module, _, name = dotted.partition(":")
    if not module or not name:
        raise LookupError("MODULE:NAME is expected")
    try:
        return cast(ImplementationUnderTest, getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise LookupError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    """Exit code: see `alts_vectors.cli.run`."""
    return _cli.run(args, load_target)
