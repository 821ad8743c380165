"""Vectors of the key schedule (SPEC 7), with every value between the Diffie–Hellman result and the authenticators."""

from __future__ import annotations

from alts_model.algebra import TICKET_LABELS, key_schedule
from alts_model.concrete import ConcreteAlgebra
from alts_model.endpoint import ConcreteEndpoint, schedule_values
from alts_model.messages import IssuedTicket
from alts_model.tables import Role

from ._case import Group, Why, document
from ._files import Json
from ._settings import to_model
from ._world import World
from .target import EndpointSettings

VALUE_NAMES = {
    "shared_secret": "sharedSecret",
    "transcript_hash": "transcriptHash",
    "prk": "prk",
    "record_info": "recordInfo",
    "M": "M",
    "resumption_info": "resumptionInfo",
    "R": "R",
    "authenticator_info": "authenticatorInfo",
    "A": "A",
    "server_authenticator": "serverAuthenticator",
    "server_ticket_authenticator": "serverTicketAuthenticator",
    "client_authenticator": "clientAuthenticator",
    "client_ticket_authenticator": "clientTicketAuthenticator",
}
"""The model's names and those of the vectors."""

RESULTS = (
    "transcriptHash",
    "M",
    "R",
    "A",
    "serverAuthenticator",
    "serverTicketAuthenticator",
    "clientAuthenticator",
    "clientTicketAuthenticator",
)
"""What an implementation must be able to tell; the others are checked through these."""


def named(values: dict[str, bytes]) -> dict[str, str]:
    """The model's values under the names of the vectors, in hexadecimal."""
    return {name: values[key].hex() for key, name in VALUE_NAMES.items() if key in values}


def _inits(client: EndpointSettings, server: EndpointSettings) -> tuple[bytes, bytes, bytes]:
    """Shared secret and both Init payloads of a handshake."""

    one, other = ConcreteEndpoint("client", to_model(client)), ConcreteEndpoint("server", to_model(server))
    step = other.receive(one.start())
    one.receive(step.output)
    values = one.secrets.values
    return values["shared_secret"], values["client_init"], values["server_init"]


def _add(group: Group, name: str, why: Why, secret: bytes, inits: tuple[bytes, bytes], names: tuple[str, str]) -> None:
    algebra = ConcreteAlgebra()
    values = named(schedule_values(algebra, key_schedule(algebra, secret, *inits, *names)))
    group.add(
        name,
        why,
        input={
            "sharedSecret": secret.hex(),
            "clientInit": inits[0].hex(),
            "serverInit": inits[1].hex(),
            "clientIdentity": names[0],
            "serverIdentity": names[1],
        },
        intermediate={key: values[key] for key in ("prk", "recordInfo", "resumptionInfo", "authenticatorInfo")},
        result={"verdict": "valid", **{key: values[key] for key in RESULTS}},
    )


def generate(seed: str) -> Json:
    """The file `key_schedule`."""
    world = World(seed)
    client, server = world.client(), world.server()
    secret, *inits_list = _inits(client, server)
    inits = (inits_list[0], inits_list[1])
    names = ("test/frontend", "test/backend")
    spec = ("7.1", "7.3", "7.4", "7.5", "7.6")

    def why(comment: str, reason: str) -> Why:
        return Why(comment, reason, ("HS-5", "HS-7", "HS-9"), spec, ("KeySchedule",))

    group = Group(
        "key_schedule", "From the Diffie-Hellman result, both Inits and both identities to M, R, A and HMACs."
    )
    _add(
        group,
        "honest",
        why(
            "the values of the first valid handshake",
            "The base case: whoever differs here can talk to nobody, and the intermediate values show where.",
        ),
        secret,
        inits,
        names,
    )
    other_nonce = _inits(world.client(nonce=world.derive("another nonce")), server)
    _add(
        group,
        "other-client-nonce",
        why(
            "the same keys and identities, another client nonce",
            "The static handshake repeats the shared secret; only the nonces make M fresh.",
        ),
        secret,
        (other_nonce[1], other_nonce[2]),
        names,
    )
    _add(
        group,
        "identities-swapped",
        why(
            "the same Inits and secret, the identities exchanged",
            "The client's identity comes first whoever computes; a local/peer order would give two different keys.",
        ),
        secret,
        inits,
        (names[1], names[0]),
    )
    for name, pair in {"split-early": ("a", "bc"), "split-late": ("ab", "c")}.items():
        _add(
            group,
            f"identity-{name}",
            why(
                f"identities {pair[0]!r} and {pair[1]!r}",
                "Both cases of this pair join to 'abc'; without length prefixes they would share their keys.",
            ),
            secret,
            inits,
            pair,
        )
    longest = "/".join(["s" * 63] * 3 + ["t" * 63])
    _add(
        group,
        "longest-identity",
        why(
            "identities of 255 characters and of one",
            "A one-byte length prefix still fits 255; the prefix has two bytes and must be written so.",
        ),
        secret,
        inits,
        (longest, "x"),
    )
    _add(
        group,
        "inits-cut-elsewhere",
        why(
            "the same bytes, one byte moved from ServerInit to ClientInit",
            "The transcript frames both messages by their lengths; a plain concatenation could not tell these apart.",
        ),
        secret,
        (inits[0] + inits[1][:1], inits[1][1:]),
        names,
    )
    _add(
        group,
        "other-secret",
        why("another shared secret, the rest the same", "All secrets must depend on the Diffie-Hellman result."),
        world.derive("another secret"),
        inits,
        names,
    )
    return document(
        "key_schedule",
        seed,
        "The key schedule of SPEC.md section 7. prk and the infos need not be exposed by an implementation: a verifier "
        "can check them with RFC 5869 against M, R and A. The Init payloads of some cases are not messages; the key "
        "schedule takes them as bytes.",
        [group, _tickets(world)],
    )


def _tickets(world: World) -> Group:
    group = Group("ticket_authenticator", "The second HMAC beside Finished, over a ticket or over its absence.")
    secret = world.derive("authenticator secret")
    algebra = ConcreteAlgebra()
    tickets: dict[str, tuple[tuple[bytes, int, int, bytes] | None, str]] = {
        "none": (None, "Always sent: its presence shows that no ticket was stripped."),
        "usual": ((bytes(range(16)), 7, 3600, b"ticket"), "The usual form."),
        "largest": ((b"\xff" * 16, 2**64 - 1, 86400, b"T" * 4096), "Every number at its widest."),
        "smallest": ((bytes(16), 1, 1, b"t"), "Every field at its smallest."),
    }
    roles: tuple[Role, Role] = ("server", "client")
    for role in roles:
        for name, (ticket, reason) in tickets.items():
            value = algebra.ticket_authenticator(
                secret, TICKET_LABELS[role], None if ticket is None else IssuedTicket(*ticket)
            )
            group.add(
                f"{role}-{name}",
                Why(
                    f"{role}'s HMAC, ticket: {name}",
                    reason + " The label tells the roles apart, so that it cannot be reflected.",
                    ("RES-2", "HS-7" if role == "server" else "HS-9"),
                    ("7.6",),
                    ("KeySchedule",),
                ),
                input={
                    "A": secret.hex(),
                    "sender": role,
                    "ticket": None
                    if ticket is None
                    else {
                        "resumptionId": ticket[0].hex(),
                        "keyEpoch": str(ticket[1]),
                        "lifetimeSeconds": ticket[2],
                        "ticket": ticket[3].hex(),
                    },
                },
                result={"verdict": "valid", "ticketAuthenticator": value.hex()},
            )
    return group
