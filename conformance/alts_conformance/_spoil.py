"""Honest traffic and how to spoil it, for the robustness tool: raw faults, and changed fields signed again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import alts
from alts import Input, Role, State

MASTER_CONTEXT, HANDSHAKE_CONTEXT = b"openalts v1 master certificate\x00", b"openalts v1 handshake certificate\x00"
FRAME_TYPES = {
    Input.CLIENT_INIT: 16,
    Input.SERVER_INIT: 17,
    Input.SERVER_FINISHED: 18,
    Input.CLIENT_FINISHED: 19,
    Input.ALERT: 31,
    Input.DATA: 6,
}
CERTIFICATE_FIELD = {16: 3, 17: 4}
"""Frame type to the number of the field that holds a certificate."""

Field = tuple[int, int, bytes]
Signer = Callable[[bytes], bytes]


def frame(number: int, payload: bytes) -> bytes:
    """One frame (SPEC 3.1)."""
    return (len(payload) + 4).to_bytes(4, "little") + number.to_bytes(4, "little") + payload


class Scene:
    """A realm, two ends, and one honest run between them, all from a seed."""

    def __init__(self, seed: int) -> None:
        source = random.Random(f"robustness {seed}")
        self._now = 1_900_000_000
        realm = alts.Realm(random=source.randbytes, now=self._now - 3600)
        self._signing_key = realm.signing_service.key
        # Revoking, targets and a policy with several rules, so that mutations have something to run into.
        self._master_keys: dict[bytes, Ed25519PrivateKey] = {}
        credentials = {role: self._issue(realm, f"test/{role}") for role in Role}
        realm.revoked.add(3 << 56 | 999)
        self._configurations = {
            role: alts.Configuration(
                credentials[role],
                realm.trust(),
                application_protocols=("grpc", "h2"),
                max_frame_size=65536,
                target_identities=frozenset({"test/server", "test/other"}) if role is Role.CLIENT else frozenset(),
            )
            for role in Role
        }
        self._nonces = {role: source.randbytes(32) for role in Role}
        self._record(source)

    def _issue(self, realm: alts.Realm, identity: str) -> alts.Credential:
        master = realm.cluster_master.issue_master(
            "cluster-master", alts.Category.WORKLOAD, not_before=realm.now, workload_identities=("test/**",)
        )
        self._master_keys[master.certificate] = master.key
        return realm.cluster_master.issue_handshake(master, identity=identity, boundary="site-1")

    def _record(self, source: random.Random) -> None:
        """Run once, honestly, and keep every frame."""
        client, server = self._fresh(Role.CLIENT), self._fresh(Role.SERVER)
        client.start()
        client_init = client.data_to_send()
        server.receive_data(client_init)
        flight = server.data_to_send()
        client.receive_data(flight)
        finished = client.data_to_send()
        server.receive_data(finished)
        size = 4 + int.from_bytes(flight[:4], "little")
        records: dict[Role, list[bytes]] = {Role.CLIENT: [], Role.SERVER: []}
        for end in (client, server):
            for length in (5, 0, 1, 300, 9000, 100000):
                end.send(source.randbytes(length))
                records[end.role].append(end.data_to_send())
        self._frames = {
            Input.CLIENT_INIT: client_init,
            Input.SERVER_INIT: flight[:size],
            Input.SERVER_FINISHED: flight[size:],
            Input.CLIENT_FINISHED: finished,
            Input.ALERT: frame(31, b"\x08\x05"),
            Input.UNKNOWN: frame(20, b"what is this"),
        }
        self._records = {role: [record for record in found if record] for role, found in records.items()}

    def _fresh(self, role: Role) -> alts.Connection:
        environment = alts.Environment(clock=lambda: float(self._now), random=lambda _: self._nonces[role])
        return alts.Connection(role, self._configurations[role], environment)

    def connection(self, role: Role, state: State) -> alts.Connection:
        """A fresh connection, brought to a state by honest traffic."""
        connection = self._fresh(role)
        if state is State.CLOSED:
            connection.close()
        elif state is State.FAILED:
            connection.receive_data(frame(20, b""))
        else:
            for symbol in self._way(role, state):
                if symbol is Input.START:
                    connection.start()
                else:
                    connection.receive_data(self._frames[symbol])
        connection.data_to_send()
        return connection

    @staticmethod
    def _way(role: Role, state: State) -> tuple[Input, ...]:
        way: tuple[Input, ...]
        order: tuple[State, ...]
        if role is Role.CLIENT:
            way = (Input.START, Input.SERVER_INIT, Input.SERVER_FINISHED)
            order = (State.START, State.WAIT_SERVER_INIT, State.WAIT_SERVER_FINISHED, State.OPEN)
        else:
            way = (Input.CLIENT_INIT, Input.CLIENT_FINISHED)
            order = (State.WAIT_CLIENT_INIT, State.WAIT_CLIENT_FINISHED, State.OPEN)
        return way[: order.index(state)]

    def due(self, role: Role, state: State) -> Input:
        """What an honest peer would send next."""
        if role is Role.CLIENT:
            return Input.SERVER_FINISHED if state is State.WAIT_SERVER_FINISHED else Input.SERVER_INIT
        return Input.CLIENT_FINISHED if state is State.WAIT_CLIENT_FINISHED else Input.CLIENT_INIT

    def good(self, role: Role, symbol: Input, rng: random.Random | None = None) -> bytes:
        """Honest bytes for `symbol`, as the peer of `role` sends them; records from the first on, one or several."""
        if symbol is not Input.DATA:
            return self._frames[symbol]
        records = self._records[Role.SERVER if role is Role.CLIENT else Role.CLIENT]
        return b"".join(records[: 1 if rng is None else rng.choice((1, 1, 1, 2, 3, len(records)))])

    def fix(self, certificate: bytes) -> bytes:
        """The certificate signed again by its master key, and its master by the Signing Service: a thief with both."""
        outer = fields(certificate)
        if outer is None or [number for number, _, _ in outer] != [1, 2, 3]:
            return certificate
        master = fields(outer[2][2])
        if master is None or [number for number, _, _ in master] != [1, 2]:
            return certificate
        new_master = join([master[0], (2, 2, self._signing_key.sign(MASTER_CONTEXT + master[0][2]))])
        key = self._master_keys.get(outer[2][2]) or next(iter(self._master_keys.values()))
        body = outer[0][2]
        signed = join([(1, 2, body), (2, 2, key.sign(HANDSHAKE_CONTEXT + body)), (3, 2, new_master)])
        return signed if new_master == outer[2][2] else certificate


def varint(number: int, extra: int = 0) -> bytes:
    """A varint, with `extra` bytes more than it needs."""
    size = max(1, -(-number.bit_length() // 7)) + extra
    return bytes(number >> 7 * i & 0x7F | (0x80 if i < size - 1 else 0) for i in range(size))


def fields(data: bytes) -> list[Field] | None:
    """A message taken apart (a BYTES value without its length), or None if it is none."""
    found, at = list[Field](), 0
    while at < len(data):
        key, at = _varint(data, at)
        kind, start = key & 7, at
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 1:
            at += 8
        elif kind == 2:
            size, start = _varint(data, at)
            at = start + size
        else:
            return None
        if at > len(data) or key < 8:
            return None
        found.append((key >> 3, kind, data[start:at]))
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
    return value, len(data) + 1


def join(parts: list[Field]) -> bytes:
    """The reverse of `fields`."""
    return b"".join(
        varint(number << 3 | kind) + (varint(len(value)) if kind == 2 else b"") + value for number, kind, value in parts
    )


def spoil(data: bytes, rng: random.Random, fix: Signer | None = None) -> bytes:
    """A run of frames with one to four faults."""
    for _ in range(rng.choice((1, 1, 1, 1, 2, 4))):
        data = _spoil_once(data, rng, fix)
    return data


def _spoil_once(data: bytes, rng: random.Random, fix: Signer | None) -> bytes:
    if len(data) < 8:
        return _raw(data, rng)
    size = 4 + int.from_bytes(data[:4], "little")
    number, payload, rest = int.from_bytes(data[4:8], "little"), data[8:size], data[size:]
    choice = rng.random()
    if choice < 0.06:
        return _header(data, rng)
    if choice < 0.12:
        return rng.choice((data + data, data[: rng.randrange(len(data))], rest + data[:size], data + rng.randbytes(9)))
    if number == 6 or choice < 0.2:
        return frame(number, _raw(payload, rng)) + rest
    return frame(number, _message(payload, rng, CERTIFICATE_FIELD.get(number), fix)) + rest


def _header(data: bytes, rng: random.Random) -> bytes:
    length = int.from_bytes(data[:4], "little")
    other = rng.choice((0, 3, 4, 19, 20, length - 1, length + 1, 16384, 16385, 65536, 65537, 2**31, 2**32 - 1))
    if rng.random() < 0.6:
        return (other % 2**32).to_bytes(4, "little") + data[4:]
    kind = rng.choice((0, 5, 6, 7, 15, 16, 17, 18, 19, 20, 31, 256 + 6, 2**32 - 1))
    return data[:4] + kind.to_bytes(4, "little") + data[8:]


def _raw(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed without regard for what they mean."""
    if not data:
        return rng.randbytes(rng.randrange(1, 40))
    at = rng.randrange(len(data))
    end = min(len(data), at + rng.choice((1, 1, 2, 8, 64)))
    match rng.randrange(6):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + rng.randbytes(end - at) + data[end:]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + rng.randbytes(rng.choice((1, 2, 16))) + data[at:]
        case 4:
            return data[:end] + data[at:]
        case _:
            return data[:at]


@dataclass(frozen=True, slots=True)
class _Value:
    """What may stand in for a field's value."""

    rng: random.Random

    def scalar(self, value: bytes) -> bytes:
        number, _ = _varint(value, 0)
        near = (
            0,
            1,
            2,
            3,
            number + 1,
            max(0, number - 1),
            16383,
            16384,
            1048576,
            1048577,
            2**32 - 1,
            2**32 + 1,
            2**64 - 1,
        )
        return varint(self.rng.choice(near), extra=self.rng.random() < 0.1)

    def text(self, value: bytes) -> bytes:
        rng = self.rng
        names = (
            b"grpc",
            b"h2",
            b"X25519_PFS_SHA256",
            b"ALTSRP_GMAC_128",
            b"test/x",
            b"a/../b",
            b"*",
            b"\xff",
            b" ",
            b"",
        )
        other = bytes([value[0] ^ 1]) + value[1:] if value else b"\x01"
        return rng.choice(
            (other, value[:-1], value + b"\x00", rng.randbytes(len(value)), rng.choice(names), b"x" * 5000)
        )


def _message(data: bytes, rng: random.Random, certificate: int | None, fix: Signer | None, depth: int = 0) -> bytes:
    """A message with one field changed, gone, twice, new, or in another place; often still canonical."""
    parts = fields(data)
    if not parts:
        return _raw(data, rng)
    index = rng.randrange(len(parts))
    if certificate is not None and depth == 0 and rng.random() < 0.5:
        index = next((i for i, part in enumerate(parts) if part[0] == certificate), index)
    number, kind, value = parts[index]
    match rng.choice((*["value"] * 9, "drop", "drop", "twice", "unknown", "order", "kind")):
        case "drop":
            del parts[index]
        case "twice":
            parts.insert(index, parts[index])
        case "unknown":
            parts.append((rng.choice((13, 100, 2**29 - 1)), 0, b"\x01"))
        case "order":
            rng.shuffle(parts)
        case "kind":
            parts[index] = (number, rng.choice((0, 1, 2)), value)
        case _:
            parts[index] = (number, kind, _field(number, kind, value, rng, certificate, fix, depth))
    return join(parts)


def _field(
    number: int, kind: int, value: bytes, rng: random.Random, certificate: int | None, fix: Signer | None, depth: int
) -> bytes:
    if kind == 0:
        return _Value(rng).scalar(value)
    if kind == 1:
        return rng.randbytes(8)
    is_message = len(value) > 8 and depth < 4 and fields(value) is not None
    if is_message and rng.random() < 0.85:
        inner = _message(value, rng, None, None, depth + 1)
        if certificate == number and depth == 0 and fix is not None and rng.random() < 0.7:
            return fix(inner)
        return inner
    return _Value(rng).text(value)
