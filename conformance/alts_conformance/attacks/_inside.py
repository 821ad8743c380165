"""A process in namespaces of its own that runs trials with the wheel: ``python -m ... _inside FOLDER ATTACK/TRIAL…``.

Writes JSON lines to stdout: ``{"missing": …}`` if namespaces are refused here, else sentences as they are told
(``{"tell": …}``) and one result a trial (``{"result": …}``). It must be single-threaded until it has entered. It may be
killed at any time: the folder is its parent's to remove.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._worker import enter_world


class _Output:
    """The parent's end of stdout; what else prints goes to stderr."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, document: dict[str, Any]) -> None:
        self._stream.write(json.dumps(document) + "\n")
        self._stream.flush()


async def _run(names: Sequence[str], folder: Path, output: _Output) -> None:
    from . import _gallery, _run, _stage, _wheel

    hosts, wheels = _stage.Hosts(), _wheel.Wheels.make(folder)
    try:
        for attack, trial in _gallery.select(names):
            result = await _run.run_trial(attack, trial, hosts, lambda text: output.send({"tell": text}), wheels)
            output.send({"result": dataclasses.asdict(result)})
    finally:
        await hosts.close()
        await wheels.world.close()


def main(folder: Path, names: Sequence[str]) -> int:
    """Run the trials that are named; always 0, the results say the rest."""
    output = _Output()
    missing = enter_world(folder)
    if missing is not None:
        output.send({"missing": missing})
        return 0
    asyncio.run(_run(names, folder, output))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
