"""`kill -9` at any moment of writing leaves a store that opens, and a number that does not come twice (SPEC 13.3)."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alts import ConfigurationError
from alts.policy import Kind
from alts.revocation import RevocationStore, compile_revocations, open_revocations
from tests.impl.policy_tools import KEY, NOW, PUBLIC, sequence_of

HUMAN = 1 << 56
ROOT = Path(__file__).resolve().parents[2]

# One process that forks a child for each system call of a write; the child kills itself just before that call.
AT_EVERY_CALL = """
import os, signal, sys
from pathlib import Path
from alts.revocation import RevocationCompiler, RevocationStore
from tests.impl.policy_tools import KEY, NOW, PUBLIC

HUMAN = 1 << 56
root = Path(sys.argv[1])
WATCHED = {"open", "os.rename", "os.remove", "os.chmod", "fcntl.flock", "tempfile.mkstemp", "os.truncate"}

def die_at(number):
    seen = [0]
    def hook(event, arguments):
        if event in WATCHED:
            if seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            seen[0] += 1
    sys.addaudithook(hook)

def write(directory):
    compiler = RevocationCompiler(directory / "crl", key=KEY, clock=lambda: NOW)
    store = RevocationStore(directory / "store", keys=[PUBLIC], clock=lambda: NOW)
    header = compiler.publish([HUMAN + 2])
    store.offer_file(compiler.path)
    return header.sequence

killed = 0
for number in range(1000):
    directory = root / str(number)
    (directory / "store").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    compiler = RevocationCompiler(directory / "crl", key=KEY, clock=lambda: NOW)
    compiler.publish([HUMAN + 1])
    RevocationStore(directory / "store", keys=[PUBLIC], clock=lambda: NOW).offer_file(compiler.path)
    child = os.fork()
    if child == 0:
        die_at(number)
        write(directory)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    survivor = RevocationStore(directory / "store", keys=[PUBLIC], clock=lambda: NOW)
    assert survivor.problem is None, (number, survivor.problem)
    sequence = survivor.in_force.header.sequence
    assert survivor.is_revoked(HUMAN + sequence) is True, number
    assert survivor.is_revoked(HUMAN + 3 - sequence) is False, number
    last = write(directory)
    assert last > sequence, number
    after = RevocationStore(directory / "store", keys=[PUBLIC], clock=lambda: NOW)
    assert after.in_force.header.sequence == last, number
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
    killed += 1
print(killed)
"""

# The same, but the system kills the child when a file that it writes has grown to so many bytes.
AT_SOME_BYTES = """
import os, resource, signal, sys
from pathlib import Path
from alts.revocation import RevocationStore, compile_revocations
from tests.impl.policy_tools import KEY, NOW, PUBLIC

HUMAN = 1 << 56
data = compile_revocations([HUMAN + 2], key=KEY, sequence=2, issued_at=NOW)
for size in (0, 1, 8, 100, 124, 187, 188, 189, len(data) - 1):
    directory = Path(sys.argv[1]) / str(size)
    directory.mkdir(mode=0o700)
    store = RevocationStore(directory, keys=[PUBLIC], clock=lambda: NOW)
    store.offer(compile_revocations([HUMAN + 1], key=KEY, sequence=1, issued_at=NOW))
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        store.offer(data)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ, (size, status)
    survivor = RevocationStore(directory, keys=[PUBLIC], clock=lambda: NOW)
    assert survivor.problem is None, (size, survivor.problem)
    assert survivor.is_revoked(HUMAN + 1) is True and survivor.is_revoked(HUMAN + 2) is False, size
    assert survivor.offer(data), size
"""

ENDLESSLY = """
import itertools, sys
from pathlib import Path
from alts.revocation import RevocationCompiler, RevocationStore
from tests.impl.policy_tools import KEY, NOW, PUBLIC

directory = Path(sys.argv[1])
compiler = RevocationCompiler(directory / "crl", key=KEY, clock=lambda: NOW)
store = RevocationStore(directory / "store", keys=[PUBLIC], clock=lambda: NOW)
for _ in itertools.count():
    number = compiler.publish(range(1 << 56, (1 << 56) + 20_000, 3)).sequence
    store.offer_file(compiler.path)
    print(number, flush=True)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


@pytest.mark.req("REVOKE-6", "REVOKE-7")
def test_killed_before_each_system_call_of_a_write(tmp_path: Path) -> None:
    command = [sys.executable, "-c", AT_EVERY_CALL, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10, "fewer calls than a publication and an acceptance need"


@pytest.mark.req("REVOKE-6", "REVOKE-7")
def test_killed_in_mid_write(tmp_path: Path) -> None:
    command = [sys.executable, "-c", AT_SOME_BYTES, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr


@pytest.mark.req("REVOKE-6")
def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    machine = RevocationStore(tmp_path, keys=[PUBLIC], clock=lambda: NOW)
    machine.offer(compile_revocations([HUMAN + 1], key=KEY, sequence=1, issued_at=NOW))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    newer = compile_revocations([HUMAN + 2], key=KEY, sequence=2, issued_at=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match="No space"):
            machine.offer(newer)
    for holder in (machine, RevocationStore(tmp_path, keys=[PUBLIC], clock=lambda: NOW)):
        assert [holder.is_revoked(HUMAN + 1), holder.is_revoked(HUMAN + 2)] == [True, False]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "accepted", "highest.json"]


@pytest.mark.req("REVOKE-6", "REVOKE-7")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "store").mkdir(mode=0o700)
    r = random.Random(1)
    highest = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESSLY, str(tmp_path)], env=environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            time.sleep(r.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            complete = [int(line) for line in process.stdout.read().split("\n")[:-1]]
        assert first > highest, "a sequence number came twice"
        reported = max([first, *complete])
        machine = RevocationStore(tmp_path / "store", keys=[PUBLIC], clock=lambda: NOW)
        assert machine.problem is None
        assert machine.in_force is not None
        assert machine.in_force.header.sequence >= reported, "an accepted file was lost"
        assert machine.is_revoked(HUMAN + 3) is True
        assert machine.is_revoked(HUMAN + 1) is False
        published = tmp_path / "crl"
        highest = max(machine.in_force.header.sequence, sequence_of(Kind.REVOCATIONS, published))
        open_revocations(published.read_bytes(), [PUBLIC])
