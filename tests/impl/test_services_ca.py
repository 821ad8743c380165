"""The internal CA and the machines' agents: logins, enrolment, renewal; what comes out is accepted by verifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts import Category, Credential, ErrorCode, MasterKey, PeerViolation, Role, UsageError
from alts._trust import verify_certificate
from alts.services import (
    AgentCore,
    AgentSettings,
    CaCore,
    CaSettings,
    NewKey,
    PasswordHash,
    RequestRefused,
    Status,
    Token,
    make_credential,
    prove,
    prove_machine,
    totp_code,
    totp_step,
)
from alts_schema.issuance_pb2 import LoginRequest, ProvenKey
from tests.impl.services_world import BINDING, CA, CHEAP, DAY, NODE, NOW, World, ids_of, peer

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse battery staple"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def human_key(identity: str = "corp/olga", key: Ed25519PrivateKey = KEY, binding: bytes = BINDING) -> ProvenKey:
    return prove(key, category=Category.HUMAN, identity=identity, requester=CA, binding=binding)


def attempt(world: World, secret: bytes, *, password: str = PASSWORD, code: str = "", name: str = "olga") -> Credential:
    """Log in as the service does, and return the human's credential."""
    request = LoginRequest(name=name, second_factor=code or totp_code(secret, int(world.now)), key=human_key())
    world.refill(world.ca.issuing)
    right = world.ca.password_of(name).verify(password)
    pending = world.ca.login(request, peer("machines/desk"), BINDING, password_right=right)
    certificate = world.ca.complete(pending, world.sign(world.ca.issuing, pending)).certificate
    return make_credential(MasterKey(certificate, KEY), world.random, int(world.now), lifetime=0)


def verify(world: World, credential: Credential, role: Role = Role.CLIENT) -> None:
    verify_certificate(credential.certificate, world.trust(), int(world.now), role=role, targets=frozenset())


@pytest.mark.req("ISSUE-5", "REVOKE-2", "REVOKE-5", "ISSUE-3", "ISSUE-4")
def test_a_human_gets_a_certificate_of_twenty_hours() -> None:
    world = World()
    secret = world.ca.add_user("olga", "corp/olga", PASSWORD)
    credential = attempt(world, secret)
    body = credential.parsed.body
    assert body.not_after - body.not_before == 20 * 3600
    assert credential.peer.issuer == CA
    handshake, master = ids_of(credential)
    assert handshake == master
    verify(world, credential)
    with pytest.raises(PeerViolation) as caught:
        verify(world, credential, Role.SERVER)
    assert caught.value.code is ErrorCode.CATEGORY_REFUSED
    world.now = body.not_after
    with pytest.raises(PeerViolation) as caught:
        verify(world, credential)
    assert caught.value.code is ErrorCode.CERTIFICATE_EXPIRED


@pytest.mark.req("ISSUE-5")
def test_every_factor_is_needed_and_all_wrong_ones_look_alike() -> None:
    world = World()
    secret = world.ca.add_user("olga", "corp/olga", PASSWORD)
    answers = set()
    for password, code, name in ((PASSWORD + "x", "", "olga"), (PASSWORD, "000000", "olga"), (PASSWORD, "", "nobody")):
        with pytest.raises(RequestRefused) as caught:
            attempt(world, secret, password=password, code=code, name=name)
        answers.add(str(caught.value))
    assert len(answers) == 1
    assert caught.value.status is Status.UNAUTHENTICATED
    attempt(world, secret)


@pytest.mark.req("ISSUE-5")
def test_a_code_works_once_also_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    secret = world.ca.add_user("olga", "corp/olga", PASSWORD)
    attempt(world, secret)
    world.close()
    world = World(tmp_path, seed=2)
    for _ in range(2):
        with pytest.raises(RequestRefused):
            attempt(world, secret)
    world.now += 30
    attempt(world, secret)
    world.close()


@pytest.mark.req("ISSUE-5")
def test_an_account_is_locked_after_failures_and_opens_again() -> None:
    world = World()
    secret = world.ca.add_user("olga", "corp/olga", PASSWORD)
    for _ in range(5):
        with pytest.raises(RequestRefused):
            attempt(world, secret, password="guess guess guess")
    with pytest.raises(RequestRefused) as caught:
        attempt(world, secret)
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    world.now += 119
    with pytest.raises(RequestRefused):
        attempt(world, secret)
    world.now += 1
    attempt(world, secret)


@pytest.mark.req("ISSUE-5", "ISSUE-1")
def test_a_login_comes_from_a_machine_and_for_oneself() -> None:
    world = World()
    secret = world.ca.add_user("olga", "corp/olga", PASSWORD)
    world.ca.add_user("nadia", "corp/network-admin", PASSWORD)
    world.refill(world.ca.issuing)
    code = totp_code(secret, NOW)
    request = LoginRequest(name="olga", second_factor=code, key=human_key("corp/network-admin"))
    with pytest.raises(RequestRefused) as caught:
        world.ca.login(request, peer("machines/desk"), BINDING, password_right=True)
    assert caught.value.status is Status.PERMISSION_DENIED
    world.now += 30
    request = LoginRequest(name="olga", second_factor=totp_code(secret, NOW + 30), key=human_key())
    with pytest.raises(RequestRefused):
        world.ca.login(request, peer("corp/mallory", Category.HUMAN), BINDING, password_right=True)
    with pytest.raises(RequestRefused, match="another connection"):
        world.ca.login(request, peer("machines/desk"), bytes(32), password_right=True)
    assert not world.ca.issuing.certificates()
    world.ca.login(request, peer("machines/desk"), BINDING, password_right=True)


def test_passwords_and_accounts_have_a_form() -> None:
    world = World()
    for name, identity, password in (
        ("olga", "corp/olga", "short"),
        ("a/b", "corp/a", PASSWORD),
        ("a", "//", PASSWORD),
    ):
        with pytest.raises(UsageError):
            world.ca.add_user(name, identity, password)
    world.ca.add_user("olga", "corp/olga", PASSWORD)
    with pytest.raises(UsageError, match="another user"):
        world.ca.add_user("mallory", "corp/olga", PASSWORD)
    kept = PasswordHash.of(PASSWORD, world.random, CHEAP)
    assert kept.verify(PASSWORD)
    assert not kept.verify(PASSWORD[:-1])
    assert PASSWORD not in repr(kept)
    assert kept.digest.hex() not in repr(kept)


@pytest.mark.req("ISSUE-5")
def test_codes_are_those_of_rfc_6238() -> None:
    secret = b"12345678901234567890"
    # RFC 6238, appendix B, SHA-1, the last six of eight digits
    for now, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert totp_code(secret, now) == code
        step = now // 30
        assert totp_step(secret, code, now, 0) == step
        assert totp_step(secret, code, now + 30, 0) == step
        assert totp_step(secret, code, now - 30, 0) == step
        assert totp_step(secret, code, now, step) is None
        assert totp_step(secret, code, now + 90, 0) is None
    for wrong in ("", "28708", "2870822", "28708a", "２８７０８２"):
        assert totp_step(secret, wrong, 59, 0) is None


@pytest.mark.req("ISSUE-6", "CRED-2", "REVOKE-3", "REVOKE-4")
def test_a_machine_enrols_with_a_token() -> None:
    world = World()
    agent = world.enrol()
    credential = agent.credential()
    verify(world, credential, Role.SERVER)
    assert credential.identity == NODE
    handshake, master = ids_of(credential)
    assert handshake == master, "a machine's handshake certificate inherits its master's ID"
    assert master in [number for number, _ in world.ca.issuing.certificates()]
    world.report(world.ca.issuing)
    assert world.crl.find(NODE) == [master]


@pytest.mark.req("ISSUE-6")
def test_a_token_is_for_one_key_one_identity_and_a_day() -> None:
    world = World()
    world.refill(world.ca.issuing)
    token = world.ca.add_token(NODE)
    agent, other = (AgentCore(None, world.clock, world.random) for _ in range(2))
    new, request = agent.enrol_request(token, CA)
    pending = world.ca.enrol(request)
    signed = world.ca.complete(pending, world.sign(world.ca.issuing, pending))
    response = world.ca.enrolled(request, signed.certificate)
    again = agent.enrol_request(token, CA)[1]
    assert world.ca.enrol(again).certificate == signed.certificate, "a lost answer can be had again"
    with pytest.raises(RequestRefused):
        world.ca.enrol(other.enrol_request(token, CA)[1])
    with pytest.raises(RequestRefused, match="does not come from the CA"):
        agent.enrolled(token, new, again, response, CA)
    agent.enrolled(token, new, request, response, CA)

    fresh = world.ca.add_token("machines/fresh")
    wrong = other.enrol_request(fresh, CA)[1]
    wrong.mac = bytes(32)
    elsewhere = other.enrol_request(Token(fresh.token_id, fresh.token, "machines/else"), CA)[1]
    with pytest.raises(RequestRefused) as caught:
        world.ca.enrol(elsewhere)
    assert caught.value.status is Status.PERMISSION_DENIED
    late = world.ca.add_token("machines/late")
    with pytest.raises(RequestRefused) as caught:
        world.ca.enrol(wrong)
    assert caught.value.status is Status.UNAUTHENTICATED
    world.now += DAY
    with pytest.raises(RequestRefused):
        world.ca.enrol(other.enrol_request(late, CA)[1])
    unknown = AgentCore(None, world.clock, world.random).enrol_request(World(seed=9).ca.add_token(NODE), CA)[1]
    with pytest.raises(RequestRefused):
        world.ca.enrol(unknown)


@pytest.mark.req("ISSUE-6", "CRED-5", "REVOKE-2")
def test_a_machine_renews_its_master_and_the_old_one_is_revoked_later() -> None:
    world = World()
    agent = world.enrol(settings=AgentSettings(master_rotation=90 * DAY))
    due = [agent.renewal_due]
    old = ids_of(agent.credential())[1]
    world.now += 90 * DAY
    due.append(agent.renewal_due)
    world.renew(agent)
    due.append(agent.renewal_due)
    assert due == [False, True, False]
    credential = agent.credential()
    assert ids_of(credential)[1] != old
    verify(world, credential, Role.SERVER)
    world.report(world.ca.issuing)
    assert not world.is_revoked(old)
    world.now += 7 * DAY
    assert world.is_revoked(old)
    assert not world.is_revoked(ids_of(credential)[1])


@pytest.mark.req("REVOKE-2")
def test_machine_certificates_may_be_without_expiry() -> None:
    world = World(ca=CaSettings(machine_lifetime=0, cost=CHEAP))
    agent = world.enrol(settings=AgentSettings(handshake_lifetime=0))
    credential = agent.credential()
    world.now += 20 * 365 * DAY
    verify(world, credential, Role.SERVER)


@pytest.mark.req("ISSUE-6", "CRED-5")
def test_handshake_certificates_of_a_machine_rotate_every_few_hours() -> None:
    world = World()
    agent = world.enrol()
    first = agent.credential()
    assert agent.credential() is first
    world.now += 3 * 3600 - 1
    assert agent.credential() is first
    world.now += 1
    second = agent.credential()
    assert second.certificate != first.certificate
    assert second.parsed.signed.master == first.parsed.signed.master, "the Signing Service was not asked"
    verify(world, first)
    world.now += 3 * 3600
    with pytest.raises(PeerViolation):
        verify(world, first)


def answered(world: World, agent: AgentCore, *, ahead: int) -> tuple[NewKey, bytes]:
    """Ask the CA, whose clock is so many seconds ahead, for a renewal; return the key and the certificate."""
    new, caller = agent.new_key(NODE), agent.credential().peer
    world.refill(world.ca.issuing)
    world.now += ahead
    pending = world.ca.renew_machine(prove_machine(new, CA, BINDING), caller, BINDING)
    certificate = world.ca.complete(pending, world.sign(world.ca.issuing, pending)).certificate
    world.now -= ahead
    return new, certificate


@pytest.mark.req("CRED-5", "ISSUE-6", "REVOKE-2")
@pytest.mark.parametrize("jump", [400, 3600, 30 * DAY])
def test_a_machine_whose_clock_was_ahead_is_not_cut_off_when_it_is_set_right(jump: int) -> None:
    world = World()
    agent = world.enrol()
    world.now += jump
    ahead = agent.credential()
    world.now -= jump
    assert agent.credential_due
    verify(world, agent.credential(), Role.SERVER)
    with pytest.raises(PeerViolation):
        verify(world, ahead, Role.SERVER)


@pytest.mark.req("ISSUE-6", "REVOKE-2")
def test_a_renewal_with_a_ca_whose_clock_is_ahead_waits_and_then_asks_with_another_key() -> None:
    world = World()
    agent = world.enrol()
    before = agent.master()
    assert before is not None
    keys = []
    for pause in (0, 60, 3540, 1):
        world.now += pause
        new, certificate = answered(world, agent, ahead=30 * DAY)
        keys.append(new.key.public_key().public_bytes_raw())
        with pytest.raises(RequestRefused, match="the CA's ahead") as caught:
            agent.install(new, certificate, CA)
        assert caught.value.status is Status.FAILED_PRECONDITION
        master = agent.master()
        assert master is not None
        assert master.certificate == before.certificate
        verify(world, agent.credential(), Role.SERVER)
    assert len(set(keys[:3])) == 1
    new, certificate = answered(world, agent, ahead=0)
    keys.append(new.key.public_key().public_bytes_raw())
    assert len(set(keys)) == 2, "an hour after it was made the key is given up"
    world.now += 30 * DAY
    agent.install(new, certificate, CA)
    verify(world, agent.credential(), Role.SERVER)


@pytest.mark.req("ISSUE-6", "ISSUE-3")
def test_a_machine_that_enrols_with_a_clock_behind_has_its_certificate_once_the_clock_is_right() -> None:
    world = World()
    agent, token = AgentCore(None, world.clock, world.random), world.ca.add_token(NODE)
    world.refill(world.ca.issuing)

    def enrol(behind: int) -> None:
        world.now -= behind
        new, request = agent.enrol_request(token, CA)
        world.now += behind
        pending = world.ca.enrol(request)
        signed = world.ca.complete(pending, world.sign(world.ca.issuing, pending))
        world.now -= behind
        agent.enrolled(token, new, request, world.ca.enrolled(request, signed.certificate), CA)

    for _ in range(2):
        now = world.now
        with pytest.raises(RequestRefused, match="this clock is behind"):
            enrol(1000 * DAY)
        world.now = now
    enrol(0)
    verify(world, agent.credential(), Role.SERVER)
    assert len(world.ca.issuing.certificates()) == 1


@pytest.mark.req("ISSUE-6", "REVOKE-2")
def test_a_machine_renewed_while_all_clocks_were_ahead_goes_on_with_the_certificate_before() -> None:
    world = World()
    agent = world.enrol()
    before = ids_of(agent.credential())
    jump = 100 * DAY
    world.now += jump
    world.renew(agent)
    assert ids_of(agent.credential()) != before
    world.report(world.ca.issuing)
    world.now -= jump
    due = [agent.renewal_due]
    credential = agent.credential()
    assert ids_of(credential) == before
    verify(world, credential, Role.SERVER)
    world.renew(agent)
    due.append(agent.renewal_due)
    assert due == [True, False]
    verify(world, agent.credential(), Role.SERVER)
    assert len(agent._store.rows("SELECT 1 FROM masters")) == 2


@pytest.mark.req("ISSUE-6", "ISSUE-2")
def test_a_machine_renews_itself_and_nobody_else() -> None:
    world = World()
    agent = world.enrol()
    world.refill(world.ca.issuing)
    other = prove_machine(agent.new_key("machines/other"), CA, BINDING)
    own = prove_machine(agent.new_key(NODE), CA, BINDING)
    for key, caller in ((other, peer(NODE)), (own, peer("machines/other")), (own, peer(NODE, Category.HUMAN))):
        with pytest.raises(RequestRefused) as caught:
            world.ca.renew_machine(key, caller, BINDING)
        assert caught.value.status is Status.PERMISSION_DENIED
    with pytest.raises(RequestRefused, match="another connection"):
        world.ca.renew_machine(own, peer(NODE), bytes(32))


@pytest.mark.req("ISSUE-3")
def test_a_lost_answer_to_a_renewal_is_had_again_with_the_same_key(tmp_path: Path) -> None:
    world = World()
    agent = world.enrol(path=tmp_path / "agent.sqlite")
    caller = agent.credential().peer
    world.refill(world.ca.issuing)
    new = agent.new_key(NODE)
    pending = world.ca.renew_machine(prove_machine(new, CA, BINDING), caller, BINDING)
    first = world.ca.complete(pending, world.sign(world.ca.issuing, pending))
    agent.close()  # before it heard the answer
    agent = AgentCore(tmp_path / "agent.sqlite", world.clock, world.random)
    new = agent.new_key(NODE)
    other = bytes(reversed(BINDING))
    again = world.ca.renew_machine(prove_machine(new, CA, other), caller, other)
    assert again.certificate == first.certificate
    agent.install(new, first.certificate, CA)
    assert len({number for number, _ in world.ca.issuing.certificates()}) == 2
    agent.close()


@pytest.mark.req("ISSUE-1", "REVOKE-3")
def test_without_an_id_nothing_is_issued_and_an_unasked_answer_is_not_taken() -> None:
    world = World()
    agent = AgentCore(None, world.clock, world.random)
    token = world.ca.add_token(NODE)
    _, request = agent.enrol_request(token, CA)
    with pytest.raises(RequestRefused) as caught:
        world.ca.enrol(request)
    assert caught.value.status is Status.UNAVAILABLE
    world.refill(world.ca.issuing)
    pending = world.ca.enrol(request)
    unasked = world.signing.sign(pending.request, CA).certificate
    foreign = world.enrol("machines/other").master()
    assert foreign is not None
    with pytest.raises(RequestRefused) as caught:
        world.ca.complete(pending, foreign.certificate)
    assert caught.value.status is Status.INTERNAL
    assert world.ca.issuing.unanswered() == [pending]
    world.ca.complete(pending, unasked)
    assert world.ca.issuing.unanswered() == []


def test_the_ca_knows_its_database(tmp_path: Path) -> None:
    World(tmp_path).close()
    world = World()
    with pytest.raises(UsageError, match="another service"):
        CaCore(tmp_path / "crl.sqlite", CA, world.clock, world.random)
