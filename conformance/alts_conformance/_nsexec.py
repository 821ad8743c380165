"""Start a program that dies with its parent, optionally in a nested mount namespace with a hosts file of its own.

``python -I -S _nsexec.py [--hosts FILE] -- PROGRAM ARGUMENT...``. Run as a plain file, so that it starts in
milliseconds and imports nothing of the package.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Set up, then become the program. Returns 126 when that is not possible."""
    # Run as a plain file: there is no package here, so the neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location("_namespaces", Path(__file__).with_name("_namespaces.py"))
    if spec is None or spec.loader is None:
        return 126
    _namespaces = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(_namespaces)

    parent = os.getppid()
    _namespaces.die_with_parent()
    if os.getppid() != parent:
        return 126
    hosts: Path | None = None
    if arguments[:1] == ["--hosts"]:
        hosts, arguments = Path(arguments[1]), arguments[2:]
    if arguments[:1] != ["--"] or len(arguments) < 2:
        print("usage: _nsexec.py [--hosts FILE] -- PROGRAM ARGUMENT...", file=sys.stderr)
        return 126
    try:
        if hosts is not None:
            _namespaces.nested_hosts(hosts)
        os.execvp(arguments[1], arguments[1:])
    except OSError as error:
        print(f"_nsexec: {error}", file=sys.stderr)
    return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
