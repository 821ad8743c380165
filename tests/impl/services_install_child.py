"""A process whose children are killed while they install a trust directory. See test_services_files.py.

`python services_install_child.py SOURCE ROOT` installs into ROOT/N/trust for N = 0, 1, ..., each in a child that kills
itself (SIGKILL) before the N-th time that it opens, makes, renames or changes something below ROOT, until one gets to
its end. After each kill it installs again where nothing is there. It prints how many were killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from alts.services import Beliefs, copy_trust
from alts_schema.issuance_pb2 import POLICY, REVOCATIONS

EVENTS = {"open", "os.mkdir", "os.rename", "os.chmod", "os.listdir", "os.scandir"}


def check(trust: Path) -> None:
    beliefs = Beliefs(trust, time.time)
    assert beliefs.sequence(POLICY) == beliefs.sequence(REVOCATIONS) == 1, trust


def install(source: Path, target: Path, left: int) -> None:
    """Be killed before event number `left`."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in EVENTS and str(target.parent) in str(arguments[0]):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)
    copy_trust(source, target)


def main() -> int:
    source, root = map(Path, sys.argv[1:])
    number = 0
    while True:
        target = root / str(number) / "trust"
        child = os.fork()
        if child == 0:
            try:
                install(source, target, number)
            except BaseException:
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not target.exists():
            copy_trust(source, target)
        check(target)
        if status == 0:
            print(number)
            return 0
        assert os.WIFSIGNALED(status), "it failed"
        number += 1


if __name__ == "__main__":
    sys.exit(main())
