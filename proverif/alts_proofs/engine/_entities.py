"""What a name can stand for in a script, and the parameters and operators that are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alts_proofs.engine import _core as core
from alts_proofs.engine import _syntax as ast
from alts_proofs.engine._terms import App, Symbol

EQUAL = Symbol("=", 2, "builtin")
UNEQUAL = Symbol("<>", 2, "builtin")
AND = Symbol("&&", 2, "builtin")
OR = Symbol("||", 2, "builtin")
NOT = Symbol("not", 1, "builtin")
OPERATORS = {"=": EQUAL, "<>": UNEQUAL, "&&": AND, "||": OR, "not": NOT}

# Parameters that change nothing about what is true. All others are refused.
HARMLESS = frozenset(
    [
        "color",
        "verboseBase",
        "verboseStatistics",
        "verboseGoalReachable",
        "verboseRules",
        "verboseRedundant",
        "verboseCompleted",
        "verboseEq",
        "verboseTerm",
        "abbreviateClauses",
        "maxDepth",
        "maxHyp",
        "selFun",
        "stopTerm",
        "redundancyElim",
        "redundantHypElim",
        "simpEqFinal",
        "simpEqAll",
        "symbOrder",
        "reconstructDerivation",
        "simplifyDerivation",
        "displayDerivation",
        "abbreviateDerivation",
        "traceDisplay",
        "reconstructTrace",
        "unifyDerivation",
        "traceBacktracking",
        "movenew",
        "movelet",
        "simplifyProcess",
        "rejectChoiceTrueFalse",
        "rejectNoSimplif",
        "expandIfTermsToTerms",
        "expandSimplifyIfCst",
        "nounifIgnoreAFewTimes",
        "preciseActions",
        "saturationApplyLemmas",
        "inductionQueries",
        "symbolicDebug",
        "feature",
        "interactiveSwapping",
        "swapping",
        "maxInequalityChain",
        "cleanupThreshold",
        "eqTreatment",
        "predicatesImplementable",
        "quantifiersInQueries",
    ]
)
# Parameters whose default value is all there is here.
FIXED = {
    "ignoreTypes": ("true", "all", "yes", "attacker"),
    "keyCompromise": ("none",),
    "privateCommOnPublicTerms": ("true", "yes"),
}


@dataclass(frozen=True, slots=True)
class Global:
    sym: Symbol


@dataclass(frozen=True, slots=True)
class Name:
    term: App


@dataclass(frozen=True, slots=True)
class Local:
    variable: core.Variable


@dataclass(frozen=True, slots=True)
class Letfun:
    declared: ast.DeclareLetfun
    scope: Scope


@dataclass(frozen=True, slots=True)
class Macro:
    declared: ast.DeclareProcess
    scope: Scope


@dataclass(frozen=True, slots=True)
class Converter:
    """A type converter: nothing where types are ignored."""


Entity = Global | Name | Local | Letfun | Macro | Converter
Scope = Mapping[str, Entity]


def taken(pattern: core.Pattern) -> list[core.Variable]:
    """The variables that a pattern binds, from left to right."""
    match pattern:
        case core.Take(variable):
            return [variable] if variable is not None else []
        case core.Part(_, parts):
            return [variable for part in parts for variable in taken(part)]
    return []
