"""Where the points of a script lie: the way from its beginning to each, and the process that it belongs to."""

from __future__ import annotations

from alts_proofs.engine import _core as core


class Paths:
    """The points of one model."""

    def __init__(self, model: core.Model) -> None:
        self.roles = model.roles
        self.parents: dict[int, core.Node | None] = {}
        self._register(model.process, None)

    def _register(self, node: core.Node, parent: core.Node | None) -> None:
        if isinstance(node, core.Nil):
            return
        self.parents[id(node)] = parent
        for child in _children(node):
            self._register(child, node)

    def path(self, node: core.Node) -> list[core.Node]:
        """The points from the root to `node`."""
        found = [node]
        while (parent := self.parents[id(found[-1])]) is not None:
            found.append(parent)
        return found[::-1]

    def role(self, node: core.Node) -> str:
        """The process macro that `node` belongs to: the outermost in its copy, else the innermost around that."""
        found: str | None = None
        copied = False
        up: core.Node | None = node
        while up is not None:
            name = self.roles.get(id(up))
            if name is not None:
                found = name
                if copied:
                    break
            if isinstance(up, core.Repl):
                if found is not None:
                    break
                copied = True
            up = self.parents[id(up)]
        return found or "process"


def _children(node: core.Node) -> tuple[core.Node, ...]:
    match node:
        case core.Par(parts):
            return parts
        case core.LetIn(_, _, body, other) | core.Test(_, body, other) | core.Get(_, _, _, body, other):
            return (body, other)
        case core.Nil():
            return ()
    return (node.body,)
