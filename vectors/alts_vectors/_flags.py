"""The notes that cases point to by flag: what kind of fault a case looks for and what the fault would lead to."""

from __future__ import annotations

from typing import Final, NamedTuple


class Note(NamedTuple):
    """One flag's text. `bug_type` is one of the vocabulary of the schema."""

    bug_type: str
    description: str
    effect: str


NOTES: Final[dict[str, Note]] = {
    "Honest": Note("BASIC", "A run without a fault.", "A failure means that the two sides cannot talk at all."),
    "KeySchedule": Note(
        "BASIC",
        "Every value between the Diffie-Hellman result and the record secret.",
        "One wrong byte, label or order gives other keys: nothing interoperates, or a binding is missing.",
    ),
    "Segmentation": Note(
        "EDGE_CASE",
        "The same bytes in other pieces.",
        "A receiver that thinks in segments hangs, loses data or accepts half a message.",
    ),
    "IgnoredTicket": Note(
        "EDGE_CASE",
        "A ticket that the receiver has no use for.",
        "An endpoint that refuses it cannot talk to a peer that offers resumption.",
    ),
    "Canonical": Note(
        "MALLEABILITY",
        "The message means the same but is not its one canonical encoding.",
        "Two implementations may read signed or hashed bytes differently, and fields may hide in a message.",
    ),
    "Undecodable": Note(
        "MODIFIED_PARAMETER",
        "The bytes are no message at all.",
        "A parser that crashes or hangs here can be brought down by anybody.",
    ),
    "Version": Note("MISSING_STEP", "Another version of the profile.", "Later versions could not be told apart."),
    "Syntax": Note(
        "EDGE_CASE",
        "A field breaks a rule of syntax, most often just beyond its bound.",
        "Limits that are not checked become costs, or ambiguities, for whoever reads the field later.",
    ),
    "Negotiation": Note(
        "MISSING_STEP",
        "Nothing in common, or a choice that was never offered.",
        "A peer would run something that its owner has not allowed (downgrade).",
    ),
    "CheckOrder": Note(
        "EDGE_CASE",
        "Two faults at once: the order of the checks decides which is reported.",
        "Costly work before cheap checks, or judgements about unauthenticated claims.",
    ),
    "CertificateForm": Note(
        "AUTH_BYPASS",
        "A certificate that is signed rightly but breaks a rule of form.",
        "A rule that is not checked is one that an issuer, or a thief of a master key, can break.",
    ),
    "CertificateRelation": Note(
        "AUTH_BYPASS",
        "Master and handshake certificate do not belong together.",
        "The thief of one master key can sign for somebody else.",
    ),
    "UnknownAuthority": Note(
        "AUTH_BYPASS", "Signed by a Signing Service that the verifier does not know.", "Anybody could be anyone."
    ),
    "Expiry": Note("AUTH_BYPASS", "Not valid at this time.", "Old or future credentials keep working."),
    "Signature": Note("AUTH_BYPASS", "A signature of the chain is wrong.", "Anybody could be anyone."),
    "Category": Note("AUTH_BYPASS", "A human's certificate at a server.", "A user could pose as a service."),
    "Policy": Note(
        "AUTH_BYPASS", "The issuer may not issue this.", "Whoever can get any certificate could get every identity."
    ),
    "Revocation": Note("AUTH_BYPASS", "A revoked certificate.", "Stolen credentials work until they expire."),
    "TargetIdentity": Note(
        "AUTH_BYPASS", "A good certificate of somebody else.", "Any member of the realm could answer for the target."
    ),
    "LowOrderPoint": Note(
        "AUTH_BYPASS",
        "The public key is of low order, so that the Diffie-Hellman result is zero whatever the private key.",
        "The session keys would be known to everybody.",
    ),
    "X25519Edge": Note(
        "EDGE_CASE",
        "A public key that is not reduced, or whose top bit is set (RFC 7748, section 5).",
        "Implementations that refuse or misread it do not interoperate.",
    ),
    "Finished": Note(
        "AUTH_BYPASS", "The authenticator is not right.", "Nobody would have shown that they know the keys."
    ),
    "Reflection": Note(
        "AUTH_BYPASS", "A party's own message or value comes back.", "An attacker without keys answers with an echo."
    ),
    "TicketAuthenticator": Note(
        "MODIFIED_PARAMETER",
        "The HMAC over the ticket, or over its absence, is not right.",
        "Tickets could be swapped or stripped unseen.",
    ),
    "FrameHeader": Note(
        "DENIAL_OF_SERVICE",
        "The header alone shows that the frame must be refused.",
        "A receiver that waits for, or buffers, the payload gives its memory to strangers.",
    ),
    "StateMachine": Note(
        "MISSING_STEP",
        "A frame that has no row in the present state.",
        "Skipped or repeated steps are how handshakes are bypassed.",
    ),
    "Alert": Note("EDGE_CASE", "The peer gives up, rightly or not.", "Answering an alert can loop; ignoring it hangs."),
    "Truncation": Note("MISSING_STEP", "The stream ends too early.", "Cut data would pass for whole data."),
    "Rekey": Note(
        "CONFIDENTIALITY",
        "Frames around a change of AEAD keys.",
        "A counter that does not carry into the key derivation uses a key too long, or a nonce twice.",
    ),
    "Direction": Note(
        "CONFIDENTIALITY",
        "What the other direction protects under the same keys.",
        "Without the direction bit both sides use the same nonces: plaintext leaks, and reflection works.",
    ),
    "Replay": Note("AUTH_BYPASS", "A frame comes again or too early.", "Attackers repeat, drop or reorder data."),
    "ModifiedFrame": Note("AUTH_BYPASS", "A frame was changed on its way.", "Data can be forged."),
    "EmptyFrame": Note("EDGE_CASE", "A frame without plaintext.", "Deployed stacks may send one; it delivers nothing."),
    "CounterLimit": Note(
        "CONFIDENTIALITY", "The last frames under one record secret.", "A counter that wraps repeats nonces."
    ),
    "KeyEncapsulation": Note(
        "CONFIDENTIALITY",
        "An ML-KEM-768 encapsulation key or ciphertext is not what FIPS 203 allows.",
        "A chosen key or ciphertext could fix the secret, or tell something about a private key.",
    ),
    "Fallback": Note(
        "EDGE_CASE",
        "A ticket exists and cannot be used.",
        "An endpoint that fails instead of going on with a full handshake turns clock faults into outages.",
    ),
    "Ticket": Note(
        "AUTH_BYPASS",
        "A ticket that was used, changed, stolen or overtaken by events comes back.",
        "Whoever has the bytes of a ticket would be its holder, or a revoked peer would go on for a day.",
    ),
    "TicketFormat": Note(
        "BASIC",
        "Every value between R and a ticket.",
        "Replicas of different builds could not open one another's tickets.",
    ),
    "PolicyTable": Note(
        "AUTH_BYPASS",
        "A question to a policy, with its one right answer.",
        "A pattern that matches too much lets issuers, or users, certify what they should not.",
    ),
    "FileForm": Note(
        "MALLEABILITY",
        "A signed file whose body is not what its kind must be.",
        "Machines would read one file differently.",
    ),
    "FileSignature": Note(
        "AUTH_BYPASS",
        "A file that is not signed, not under a pinned key, or not over these bytes.",
        "Anybody could decide what is allowed, or take revocations back.",
    ),
    "Possession": Note(
        "AUTH_BYPASS",
        "Whoever asks does not hold the key, or is not whom its owner asked.",
        "Somebody else's key is certified under another name, or with the thief as its issuer.",
    ),
    "Answer": Note(
        "MODIFIED_PARAMETER",
        "The Signing Service answers with another certificate than the one that was asked for.",
        "The issuer would report and revoke something that nobody uses.",
    ),
    "RevocationRange": Note(
        "AUTH_BYPASS",
        "Who may have which revocation ID, and which certificate has it.",
        "An issuer that could report another's ID could hide or revoke another's certificate.",
    ),
    "Rotation": Note(
        "MISSING_STEP",
        "Time goes on at a cluster master.",
        "Certificates that are not rotated run out or live too long; keys dropped early cost every resumption.",
    ),
    "Enrolment": Note(
        "AUTH_BYPASS",
        "First contact, which only the token protects.",
        "A field outside the MACs could be exchanged by whoever listens.",
    ),
    "Start": Note(
        "EDGE_CASE",
        "A first request that cannot be met as it stands.",
        "A service that guesses what was meant would run less protection than somebody expects.",
    ),
}
