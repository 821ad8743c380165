"""The realm of the vectors of issuance: keys and requests by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alts_model.issuance import Asked, KeyText, prove
from alts_model.primitives import ed25519_public

from ._world import CIPHER, HOUR, MACHINE, NOW, World

CA, CLUSTER, MALLORY = "test/ca", "test/cluster-master", "test/user/mallory"
DAY = 24 * HOUR


class Realm(World):
    """Keys and requests by name."""

    def key(self, name: str = "owner", **changes: Any) -> KeyText:
        """What the owner of a key asks for: usually a machine, for its key, of the CA."""
        usual = KeyText(
            MACHINE,
            "test/machine/1",
            CA,
            ed25519_public(self.derive(name)),
            (CIPHER,),
            (),
            self.derive("connection"),
        )
        return replace(usual, **changes)

    def asked(self, key: KeyText, name: str = "owner", number: int = 0x10001, **changes: Any) -> Asked:
        """What the issuer makes of it."""
        request = key.encode()
        usual = Asked(
            request, prove(self.derive(name), request), NOW - 300, NOW + 180 * DAY, key.category << 56 | number
        )
        return replace(usual, **changes)
