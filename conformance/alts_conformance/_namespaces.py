"""A world of its own for every worker: network and mount namespace, a product name, a hosts file.

Uses the system calls directly, so no root, no iproute2 and no util-linux are needed where user namespaces are allowed.
Only the standard library is imported: :mod:`._nsexec` runs this with an isolated interpreter.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import time
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOGIFINDEX = 0x8914, 0x8916, 0x8933
_IFF_UP_RUNNING = 0x41

#: What gRPC's platform check wants to read.
PRODUCT_NAME = "Google Compute Engine"
#: The name under which the stacks look for the handshaker service, without the trailing dot.
SERVICE_NAME = "metadata.google.internal"

_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceRefusedError(OSError):
    """The kernel or the container does not let us make namespaces; the text says what to do."""


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise NamespaceRefusedError(code, f"{what}: {os.strerror(code)}")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def unshare(flags: int) -> None:
    """``unshare(2)``.

    Raises:
        NamespaceRefusedError: with the kernel's reason.
    """
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """``mount(2)``.

    Raises:
        NamespaceRefusedError: with the kernel's reason.
    """
    arguments = [None if text is None else text.encode() for text in (source, target, kind)]
    _check(_libc.mount(*arguments, flags, None if data is None else data.encode()), f"mount on {target}")


def enter() -> None:
    """Move this (single-threaded) process into new network and mount namespaces, by way of a user namespace if it can.

    Raises:
        NamespaceRefusedError: neither way is allowed here; the message says what would help.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
    except NamespaceRefusedError as refused:
        if uid != 0:
            raise NamespaceRefusedError(
                refused.errno,
                f"user namespaces are refused here ({refused.strerror}). Allow them (sysctl "
                "kernel.unprivileged_userns_clone=1, "
                "kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces>0), or run as root",
            ) from None
        try:
            unshare(CLONE_NEWNS | CLONE_NEWNET)
        except NamespaceRefusedError as again:
            raise NamespaceRefusedError(
                again.errno,
                f"namespaces are refused even to root ({again.strerror}). In a container: allow unshare and mount "
                "(CAP_SYS_ADMIN, and a seccomp profile that permits them)",
            ) from None
    else:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise NamespaceRefusedError(error.errno, f"{path}: {error.strerror}") from None


def raise_loopback(extra_ipv6: list[str] | None = None) -> None:
    """Bring ``lo`` up and give it further IPv6 addresses (127.0.0.0/8 is there anyway).

    Raises:
        OSError: the interface cannot be changed.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))
        packed = fcntl.ioctl(control, _SIOGIFINDEX, struct.pack("16si12x", b"lo", 0))
        index = struct.unpack("16si12x", packed)[1]
    if extra_ipv6:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
            for address in extra_ipv6:
                request = socket.inet_pton(socket.AF_INET6, address) + struct.pack("Ii", 128, index)
                fcntl.ioctl(control, _SIOCSIFADDR, request)
        for address in extra_ipv6:
            _await_address(address)


def _await_address(address: str) -> None:
    """A new IPv6 address is "tentative" for a moment, in which nobody can listen on it."""
    for attempt in range(500):
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
                probe.bind((address, 0))
        except OSError:
            if attempt == 499:
                raise
            time.sleep(0.01)
        else:
            return


def fake_platform() -> None:
    """Put a tmpfs over /sys/class that holds nothing but the product name.

    Raises:
        NamespaceRefusedError: the mount is refused.
    """
    mount("tmpfs", "/sys/class", "tmpfs", 0, "size=64k")
    folder = Path("/sys/class/dmi/id")
    folder.mkdir(parents=True)
    (folder / "product_name").write_text(PRODUCT_NAME + "\n")


def hosts_text(ipv4: str = "127.0.0.1", ipv6: str = "::1") -> str:
    """A hosts file that leads the stacks to a handshaker service; the IPv6 line spares them a wait for a name
    server.
    """
    names = f"{SERVICE_NAME} {SERVICE_NAME}."
    return f"127.0.0.1 localhost\n::1 localhost\n{ipv4} {names}\n{ipv6} {names}\n"


def use_hosts(path: Path) -> None:
    """Bind-mount a hosts file over /etc/hosts in this mount namespace.

    Raises:
        NamespaceRefusedError: the mount is refused.
    """
    mount(str(path), "/etc/hosts", None, _MS_BIND)


def nested_hosts(path: Path) -> None:
    """A mount namespace inside this one, with a hosts file of its own."""
    unshare(CLONE_NEWNS)
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    use_hosts(path)
