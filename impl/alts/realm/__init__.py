"""Realm directories: a whole test realm on disk (SPEC 15), and `alts pki`."""

from ._directory import FORMAT, RealmDirectory, category_of

__all__ = ["FORMAT", "RealmDirectory", "category_of"]
