"""Strings and orders are the same in the specification, the scripts, the model and the implementation.

Which label goes where in the implementation is shown byte by byte elsewhere, against the model: here it must have the
very same set of strings.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from alts_model import algebra, ciphers
from alts_model.symbolic import SymbolicAlgebra
from alts_model.terms import const, name, show
from alts_proofs import SCRIPTS
from alts_schema import handshake_pb2
from tests.differential.scripts_dictionary import FIELDS, strings

pytestmark = pytest.mark.req("HS-13")

ROOT = Path(__file__).resolve().parents[2]
SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")
IN_SCRIPTS = strings(SCRIPTS.rglob("*.pvl"))


def clause(number: str, text: str = SPEC) -> str:
    """The text of a numbered clause."""
    found = re.search(rf"\*\*{re.escape(number)}\*\*(.*?)(?=\n\s*- <a id=|\n## |\Z)", text, re.DOTALL)
    assert found is not None, f"SPEC.md has no clause {number}"
    return found.group(1)


@dataclass(frozen=True)
class Label:
    """A string: where the specification has it (a pattern with one group), the scripts' constant, the model's."""

    clause: str
    pattern: str
    constant: str
    model: str

    def specified(self, text: str = SPEC) -> list[str]:
        """What the specification says, which must be one thing."""
        return re.findall(self.pattern, clause(self.clause, text))


_Q = r"`\"([^\"]+)\""
SECRETS = tuple(algebra.SECRET_SIZES)
LABELS = (
    Label("4.5", _Q + r" \|\| 0x00 \|\| body`; that of", "masterContext", algebra.MASTER_LABEL),
    Label("4.5", r"master key over " + _Q, "handshakeContext", algebra.HANDSHAKE_LABEL),
    Label("7.1", r"SHA-256\(" + _Q + r" \|\|", "transcriptContext", algebra.TRANSCRIPT_LABEL),
    Label("7.3", r"salt " + _Q, "extractSalt", algebra.SALT),
    Label("7.4", r"M, label " + _Q, "recordSecretLabel", SECRETS[0]),
    Label("7.4", r"R, label " + _Q, "resumptionSecretLabel", SECRETS[1]),
    Label("7.4", r"A, label " + _Q, "authenticatorLabel", SECRETS[2]),
    Label(
        "7.5",
        r"HMAC-SHA-256\(A, " + _Q + r"`\) in ServerFinished",
        "serverFinishedString",
        algebra.FINISHED_LABELS["server"],
    ),
    Label(
        "7.5",
        r"HMAC-SHA-256\(A, " + _Q + r"`\) in ClientFinished",
        "clientFinishedString",
        algebra.FINISHED_LABELS["client"],
    ),
    Label("7.6", r"label " + _Q + r"` or", "serverTicketString", algebra.TICKET_LABELS["server"]),
    Label("7.6", r"or " + _Q, "clientTicketString", algebra.TICKET_LABELS["client"]),
    Label("12.2", r"info " + _Q, "ticketKeyLabel", algebra.TICKET_KEY_LABEL),
    Label("12.3", r"HMAC-SHA-256\(R, " + _Q + r"`\) or", "serverMadeTicket", algebra.TICKET_SECRET_LABELS["server"]),
    Label("12.3", r"or HMAC-SHA-256\(R, " + _Q, "clientMadeTicket", algebra.TICKET_SECRET_LABELS["client"]),
)
UNSPOKEN = {algebra.TICKET_LABEL}
"""Strings without a constant in the scripts: there a ticket's associated data are role, identity and ID alone."""


def implementation_strings() -> set[str]:
    """Every label among the constants of the implementation's core modules."""
    found = set()
    for path in (ROOT / "impl" / "alts").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
                found.add(node.value.removesuffix(b"\0").decode("latin-1"))
    return found


@pytest.mark.req("HS-5", "HS-7", "HS-9", "RES-2", "CRED-4")
@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.constant)
def test_label_is_the_same_everywhere(label: Label) -> None:
    assert label.specified() == [label.model]
    assert IN_SCRIPTS[label.constant] == label.model
    assert label.model in implementation_strings()


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.constant)
def test_label_that_changed_in_the_specification_is_noticed(label: Label) -> None:
    changed = SPEC.replace(f'"{label.model}"', f'"{label.model}!"')
    assert label.specified(changed) != [label.model]


def test_no_label_is_left_out() -> None:
    """Sections 4 to 7 and 12 have no other strings, and the implementation none that SPEC.md does not name."""
    here = {label.model for label in LABELS} | UNSPOKEN
    sections = re.split(r"^## ", SPEC, flags=re.MULTILINE)
    chosen = [text for text in sections if re.match(r"(4|5|6|7|12)\. ", text)]
    assert len(chosen) == 5
    spoken = {string for text in chosen for string in re.findall(r'"(openalts v1 [^"]+)"', text)}
    assert spoken == {string for string in here if string.startswith("openalts")}
    core = {string for string in implementation_strings() if string.startswith("openalts v1 ")}
    assert spoken <= core <= set(re.findall(r'"(openalts v1 [^"]+)"', SPEC))
    assert {string for string in IN_SCRIPTS.values() if string.startswith("openalts")} == spoken - UNSPOKEN


@pytest.mark.req("HS-5")
def test_order_of_the_key_derivation() -> None:
    """SPEC.md 7.1 and 7.4 as sequences of names, and the model's terms, which the scripts' are compared with."""
    model = SymbolicAlgebra()
    transcript = model.transcript(name("CI"), name("SI"))
    assert "|| u32be(len(CI)) || CI || u32be(len(SI)) || SI" in clause("7.1")
    assert show(transcript) == f"hash(({algebra.TRANSCRIPT_LABEL}, CI, SI))"
    order = re.findall(r"lp\(([\w ]+)\)|\|\| (th) \|\|", clause("7.4").partition("`, size)")[0])
    names = [first or second for first, second in order]
    assert names == ["label", "th", "client identity", "server identity"]
    info = model.info("label", name("th"), "client identity", "server identity")
    assert [show(part) for part in info.subterms] == names


@pytest.mark.req("RES-2", "RES-3", "RES-4")
def test_order_of_a_tickets_associated_data() -> None:
    found = re.search(r"aad = (`.*?`)", clause("12.2"))
    assert found is not None
    assert re.findall(r"lp\(([\w' ]+)\)|u64be\((\w+)\)", found.group(1)) == [
        ("maker's role", ""),
        ("maker's identity", ""),
        ("IDR", ""),
        ("", "epoch"),
    ]
    aad = SymbolicAlgebra().ticket_aad("client", "identity", b"IDR", 7)
    assert aad is const((algebra.TICKET_LABEL, "client", "identity", b"IDR", 7, 1))


@pytest.mark.req("RES-2")
def test_order_of_the_ticket_authenticator() -> None:
    assert "HMAC-SHA-256(A, `label || T`)" in clause("7.6")
    made = SymbolicAlgebra().ticket_authenticator(name("A"), "label", None)
    assert show(made) == "hmac(A, (label, none))"


@pytest.mark.req("HS-1", "HS-10", "TRADE-2")
@pytest.mark.parametrize("cipher", ciphers.CIPHERS.values(), ids=lambda cipher: cipher.name)
def test_order_of_the_key_material(cipher: ciphers.Cipher) -> None:
    """The table of SPEC.md 7.2 is the model's."""
    row = re.search(rf"^\| `{cipher.name}` \|.*$", SPEC, re.MULTILINE)
    assert row is not None
    cells = [cell.strip(" `") for cell in row.group().replace("\\|", "+").strip("|").split("|")]
    full, resumed = ([word.strip() for word in cell.split("++")] for cell in cells[3:5])
    assert tuple(full) == cipher.material(resumed=False)
    assert tuple(resumed) == (cipher.material(resumed=True) if cipher.resumable else ("never",))


@pytest.mark.req("HS-3", "HS-6")
@pytest.mark.parametrize(("message", "function"), [("ClientInit", "clientInit"), ("ServerInit", "serverInit")])
def test_order_of_the_fields_of_a_message(message: str, function: str) -> None:
    """Arguments of the scripts' functions come in the order of the schema's fields, and of the model's terms."""
    fields = handshake_pb2.DESCRIPTOR.message_types_by_name[message].fields_by_name
    numbers = [fields[field].number for field in FIELDS[function]]
    assert numbers == sorted(numbers)
    text = (SCRIPTS / "lib" / "messages.pvl").read_text(encoding="utf-8")
    comment = re.search(rf"\(\* {message}: ([^*]*?)\. \*\)\nfun {function}\(", text)
    assert comment is not None
    assert len(comment.group(1).split(",")) == len(FIELDS[function])
