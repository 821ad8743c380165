"""The attack gallery: what it says of itself, and that it cannot say it without reason."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

import alts
from alts_conformance import _peers
from alts_conformance._verdict import HarnessError, UsageError
from alts_conformance.attacks import _attacker, _gallery, _page, _queries, _run, _weaken, _write, cli, kci, replay
from alts_conformance.attacks._attacker import Attacker, HangError
from alts_conformance.attacks._record import Attack, Evidence, Outcome, Query, Result, Trial
from alts_conformance.attacks._stage import CLIENT, SERVER, Endpoint, Hosts, Stage, honest_call, key_of
from alts_conformance.attacks._story import Story
from alts_conformance.cli import main

ROOT = Path(__file__).resolve().parents[2]
_WEAKENED = ROOT / "conformance/alts_conformance/attacks/weakened"


# -- the records ------------------------------------------------------------------------------------------------------


def test_every_attack_of_the_gallery_is_there() -> None:
    assert [attack.name for attack in _gallery.ATTACKS] == [
        "kci-dh-key",
        "kci-resumption-key",
        "rotated-key-ticket",
        "recorded-traffic",
        "stolen-master",
        "mallory",
        "revoked-peer",
        "ticket-reflection",
        "replay",
        "downgrade",
        "unknown-key-share",
        "integrity-only",
        "identity-harvesting",
    ]


@pytest.mark.parametrize("attack", _gallery.ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_is_a_pair_and_says_how_it_ends(attack: Attack) -> None:
    assert {trial.expected for trial in attack.trials} == {Outcome.WORKS, Outcome.BLOCKED}
    assert len({trial.name for trial in attack.trials}) == len(attack.trials)
    assert attack.verdict.startswith(("by design", "fixed by", "blocked"))
    anchors = re.findall(r'<a id="([^"]+)"></a>\*\*([0-9.]+)\*\*', (ROOT / "SPEC.md").read_text(encoding="utf-8"))
    assert set(attack.clauses) <= set(anchors)
    known = {entry["id"] for entry in json.loads((ROOT / "docs/requirements.json").read_text())["requirements"]}
    assert set(attack.requirements) <= known


def test_the_queries_that_trials_name_exist_and_say_the_same() -> None:
    assert _queries.problems(_gallery.ATTACKS) == []


def test_a_query_that_does_not_fit_is_noticed() -> None:
    attack = next(attack for attack in _gallery.ATTACKS if attack.name == "replay")
    works = attack.trials[0]
    assert works.query is not None

    def problem(**changes: object) -> str:
        trial = dataclasses.replace(works, **changes)  # type: ignore[arg-type]  # the fields vary
        (found,) = _queries.problems([dataclasses.replace(attack, trials=(trial,))])
        return found

    good = works.query
    assert "there is no query" in problem(query=dataclasses.replace(good, id="twins/nobody"))
    assert "is in twins/no_nonces.pv" in problem(query=dataclasses.replace(good, file="static_agreement.pv"))
    assert "does not follow" in problem(expected=Outcome.BLOCKED)
    assert "neither a query nor a reason" in problem(query=None)
    wrong = dataclasses.replace(attack, trials=(dataclasses.replace(works, query=Query(good.file, good.id, "true")),))
    assert len(_queries.problems([wrong])) == 2


def test_the_page_is_generated_from_the_records() -> None:
    assert (ROOT / "docs/attacks.md").read_text(encoding="utf-8") == _page.page(), (
        "run: alts attack page > docs/attacks.md"
    )


def test_the_page_counts_the_trials_that_follow_no_query() -> None:
    text = _page.page()
    rows = [line for line in text.splitlines() if re.search(r"\| (works|is blocked) \|", line)]
    proved = [row for row in rows if re.search(r"\| `[^`]+`: (true|false) \|$", row)]
    assert 0 < len(proved) < len(rows) == sum(len(attack.trials) for attack in _gallery.ATTACKS)
    said = " ".join(text.split())
    assert f"in {len(proved)} of the {len(rows)} trials" in said
    assert f"The other {len(rows) - len(proved)} have no query" in said


def test_every_patch_is_used_and_applies(tmp_path: Path) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in _WEAKENED.parent.glob("*.py"))
    names = sorted(path.stem for path in _WEAKENED.glob("*.patch"))
    assert names
    for name in names:
        assert f'"{name}"' in text
        _weaken.weakened_copy([name], tmp_path / name)
    for name in ("another-machines-master", "resume-the-revoked"):
        assert f'"{name}"' in text
        assert (_WEAKENED.parents[1] / "mutants" / f"{name}.patch").is_file()  # it is tested with the mutants


def test_a_patch_that_does_not_exist_or_fit_is_the_harness_own_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HarnessError, match="no patch"):
        _weaken.weakened_copy(["no-such-patch"], tmp_path / "a")
    lines = "--- a/impl/alts/_trust.py\n+++ b/impl/alts/_trust.py\n@@ -1 +1 @@\n-no such line\n+another\n"
    monkeypatch.setattr(_weaken, "patch_text", lambda name: lines)
    with pytest.raises(HarnessError, match="applies at 0 places"):
        _weaken.weakened_copy(["anything"], tmp_path / "b")


# -- running ----------------------------------------------------------------------------------------------------------

_WITH_PATCHES = {"stolen-master", "ticket-reflection", "downgrade", "unknown-key-share", "integrity-only"}
_CHEAP = [
    pytest.param(attack, id=attack.name, marks=pytest.mark.req(*attack.requirements))
    for attack in _gallery.ATTACKS
    if attack.name not in _WITH_PATCHES
]


def run_trials(trials: list[tuple[Attack, Trial]]) -> list[Result]:
    async def work() -> list[Result]:
        hosts = Hosts()
        try:
            return [await _run.run_trial(attack, trial, hosts) for attack, trial in trials]
        finally:
            await hosts.close()

    return asyncio.run(work())


@pytest.mark.parametrize("attack", _CHEAP)
def test_the_attack_goes_as_the_gallery_says(attack: Attack) -> None:
    chosen = [(attack, trial) for trial in attack.trials if not trial.wheel]
    for result in run_trials(chosen):
        assert result.as_told, f"{result.trial}: {result.outcome} {result.message}"
        assert result.evidence.believed
        assert result.evidence.did
        assert ElementTree.fromstring(_write.chart(result)).tag.endswith("svg")


@pytest.mark.parametrize("name", sorted(_WITH_PATCHES))
def test_a_weakened_build_flips_the_attack(name: str) -> None:
    attack = next(attack for attack in _gallery.ATTACKS if attack.name == name)
    pair = [attack.trials[0], attack.trials[-1]]
    assert [trial.expected for trial in pair] == [Outcome.WORKS, Outcome.BLOCKED]
    results = run_trials([(attack, trial) for trial in pair])
    assert [result.outcome for result in results] == [Outcome.WORKS, Outcome.BLOCKED], [r.message for r in results]


def result_of(play: Callable[[Stage], Awaitable[Outcome]]) -> Result:
    """What comes of a made-up trial."""
    attack = _gallery.ATTACKS[0]
    (result,) = run_trials([(attack, Trial("made-up", "a test", Outcome.BLOCKED, play))])
    return result


async def _ends(stage: Stage) -> tuple[Endpoint, Endpoint, int]:
    server = await stage.endpoint("server", stage.realm.workload(SERVER))
    client = await stage.endpoint("client", stage.realm.workload(CLIENT))
    return client, server, await server.serve()


async def _nothing(stage: Stage) -> Outcome:
    return Outcome.BLOCKED


async def _no_honest_traffic(stage: Stage) -> Outcome:
    client, server, port = await _ends(stage)
    await server.change(ciphers=["X25519_KCI_SHA256"])
    await honest_call(stage, client, server, port, b"good morning")
    return Outcome.BLOCKED


async def dial_and_wait(attacker: Attacker, port: int) -> None:
    line = await attacker.dial(port, SERVER)
    await line.frame()


async def _silence(stage: Stage) -> Outcome:
    async with await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0) as silent:
        await stage.turn_loose(dial_and_wait, silent.sockets[0].getsockname()[1])
    return Outcome.BLOCKED


async def take_what_is_not_given(attacker: Attacker) -> None:
    attacker.stolen["nothing"] = b""


async def _smuggles_an_argument(stage: Stage) -> Outcome:
    _, server, port = await _ends(stage)
    await stage.turn_loose(kci.with_dh_key, port, (key_of(server.credential).hex(),), False)
    return Outcome.BLOCKED


async def _smuggles_into_the_loot(stage: Stage) -> Outcome:
    _, server, _ = await _ends(stage)
    stage.attacker.stolen["by the way"] = key_of(server.credential)
    await stage.turn_loose(take_what_is_not_given)
    return Outcome.BLOCKED


async def _hands_over_the_stage(stage: Stage) -> Outcome:
    await stage.turn_loose(dial_and_wait, stage)
    return Outcome.BLOCKED


def breaks(seen: _attacker.Seen) -> bytes:
    raise LookupError("the attacker's own fault")


async def stumble(attacker: Attacker, port: int) -> int:
    attacker.does("stumbles")
    return (await attacker.tap(CLIENT, SERVER, port, breaks)).port


async def _stumbles_on_the_path(stage: Stage) -> Outcome:
    client, server, port = await _ends(stage)
    await honest_call(stage, client, server, port, b"good morning")
    given = await client.call(await stage.turn_loose(stumble, port), b"good morning", targets=[SERVER])
    stage.finds("nobody was fooled")
    return stage.verdict(somebody_was_fooled=given["completed"])


async def give_up(attacker: Attacker, line: _attacker.Line) -> None:
    raise LookupError("the attacker's own fault")


async def wait_for_it(attacker: Attacker) -> int:
    attacker.does("stumbles")
    return await attacker.listen(CLIENT, give_up)


async def _stumbles_at_the_end_of_it(stage: Stage) -> Outcome:
    client, server, port = await _ends(stage)
    await honest_call(stage, client, server, port, b"good morning")
    given = await client.call(await stage.turn_loose(wait_for_it), b"good morning", targets=[SERVER])
    stage.finds("nobody was fooled")
    return stage.verdict(somebody_was_fooled=given["completed"])


async def _runs_a_closure(stage: Stage) -> Outcome:
    async def attack(attacker: Attacker) -> None:
        stage.say("it sees everything")

    await stage.turn_loose(attack)
    return Outcome.BLOCKED


async def be_there(attacker: Attacker) -> None:
    attacker.does("nothing")


async def _shows_no_sign(stage: Stage) -> Outcome:
    client, server, port = await _ends(stage)
    await honest_call(stage, client, server, port, b"good morning")
    await stage.turn_loose(be_there)
    stage.finds("nobody was fooled")
    return Outcome.BLOCKED


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (_shows_no_sign, "no evidence"),
        (_nothing, "no honest traffic"),
        (_no_honest_traffic, "honest traffic does not get through"),
        (_smuggles_an_argument, "a secret that it was not given"),
        (_smuggles_into_the_loot, "a secret that it was not given"),
        (_hands_over_the_stage, "is given a Stage"),
        (_runs_a_closure, "without a closure"),
        (_stumbles_on_the_path, "the attacker's own fault"),
        (_stumbles_at_the_end_of_it, "the attacker's own fault"),
    ],
)
def test_a_trial_that_shows_nothing_or_cheats_is_not_blocked_but_broken(
    play: Callable[[Stage], Awaitable[Outcome]], words: str
) -> None:
    result = result_of(play)
    assert result.outcome is Outcome.HARNESS
    assert words in result.message
    assert not result.as_told


def test_silence_is_a_hang_and_neither_works_nor_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_attacker, "PATIENCE", 0.2)
    assert result_of(_silence).outcome is Outcome.HANG


def test_a_trial_that_takes_too_long_is_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(stage: Stage) -> Outcome:
        await asyncio.sleep(30)
        return Outcome.WORKS

    monkeypatch.setattr(_run, "LIMIT", 0.2)
    assert result_of(sleep).outcome is Outcome.HANG


def test_what_the_attacker_holds_is_in_its_attributes() -> None:
    attacker = Attacker(Story())
    held = set(vars(attacker)) - {"story", "stolen", "own", "seen", "did", "heard", "faults"}
    assert all(name.startswith("_") for name in held)
    assert (attacker.stolen, attacker.own, attacker.seen) == ({}, {}, [])


def test_the_attackers_keys_are_those_of_spec() -> None:
    """The forged key schedule against the implementation's, through a handshake in memory."""
    from alts_conformance.attacks import _forge

    realm = alts.Realm(lambda size: b"\x07" * size, 1_700_000_000)
    known: list[alts.Secrets] = []
    environment = alts.Environment(
        lambda: 1_700_000_000.0, lambda size: b"\x09" * size, lambda digest, secrets: known.append(secrets)
    )
    client_credential, server_credential = realm.workload("prod/a"), realm.workload("prod/b")
    client = alts.Handshake(alts.Role.CLIENT, alts.Configuration(client_credential, realm.trust()), environment)
    server = alts.Handshake(alts.Role.SERVER, alts.Configuration(server_credential, realm.trust()), environment)
    client.start()
    first = client.data_to_send()
    server.receive_data(first)
    flight = server.data_to_send()
    second = flight[: 4 + int.from_bytes(flight[:4], "little")]
    ss = _forge.exchange(key_of(client_credential), _forge.public_of(key_of(server_credential)))
    keys = _forge.session_keys(ss, first[8:], second[8:], "prod/a", "prod/b")
    (secrets,) = known
    assert (keys.record, keys.resumption, keys.authenticator) == (
        secrets.record,
        secrets.resumption,
        secrets.authenticator,
    )


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_report_charts_and_transcripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "run", "replay", "identity-harvesting/open", "--json", "--output", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((resources.files("alts_conformance") / "schemas/attacks.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)
    assert json.loads((tmp_path / "report.json").read_text())["as_told"] is True
    assert [len(attack["trials"]) for attack in document["attacks"]] == [2, 1]
    for name in ("replay/stuck-nonce", "replay/ours", "identity-harvesting/open"):
        text = (tmp_path / f"{name}.txt").read_text()
        assert "What the victims believed:" in text
        assert "ClientInit of prod/frontend" in text
        assert ElementTree.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")


def test_the_command_tells_the_story_and_the_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "run", "replay/ours"]) == 0
    told = capsys.readouterr().out
    for words in ("An attacker who knows no key", "evidence:", "what the victims believed", "static/agreement-server"):
        assert words in told


def test_an_outcome_that_is_not_as_told_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attack = replay.ATTACKS[0]
    trial = dataclasses.replace(attack.trials[1], play=attack.trials[0].play)  # the fix is gone
    monkeypatch.setattr(_gallery, "ATTACKS", (dataclasses.replace(attack, trials=(trial,)),))
    assert main(["attack", "run", "replay/ours"]) == 1
    assert "FAIL replay/ours: should be blocked, works" in capsys.readouterr().out


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "run"]) == 2
    assert main(["attack", "run", "nobody"]) == 2
    assert main(["attack", "run", "--all", "replay"]) == 2
    assert "no attack is called" in capsys.readouterr().err
    with pytest.raises(UsageError):
        _gallery.select(["replay", "replay/nothing"])


def test_the_list_names_every_trial(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "list"]) == 0
    told = capsys.readouterr().out
    for attack in _gallery.ATTACKS:
        assert f"{attack.name}: {attack.title}" in told
    assert main(["attack", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["attacks"]) == len(_gallery.ATTACKS)


@pytest.mark.parametrize(
    ("outcomes", "require_all", "code"),
    [
        ((Outcome.BLOCKED,), False, 0),
        ((Outcome.BLOCKED, Outcome.SKIPPED), False, 0),
        ((Outcome.BLOCKED, Outcome.SKIPPED), True, 3),
        ((Outcome.SKIPPED,), False, 3),
        ((Outcome.HARNESS,), False, 3),
        ((Outcome.HARNESS, Outcome.WORKS), False, 1),
        ((Outcome.HANG,), False, 1),
        ((Outcome.WORKS,), False, 1),
        ((Outcome.PARTLY,), False, 1),
        ((Outcome.HARNESS, Outcome.PARTLY), False, 1),
    ],
)
def test_exit_codes(outcomes: tuple[Outcome, ...], require_all: bool, code: int) -> None:
    results = [Result("a", "b", "c", Outcome.BLOCKED, outcome, Evidence(), 0) for outcome in outcomes]
    assert cli._exit_code(results, require_all=require_all) == code


def test_a_hang_is_an_error_of_its_own() -> None:
    assert not issubclass(HangError, HarnessError)


def test_a_trial_that_cannot_run_here_is_skipped_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_peers, "unavailable", lambda peer: "there is no wheel")
    assert main(["attack", "run", "mallory/wheel-strict"]) == 3  # nothing ran
    assert "SKIPPED mallory/wheel-strict: should be blocked, skipped: there is no wheel" in capsys.readouterr().out


def test_the_wheel_is_a_victim_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert _peers.unavailable(_peers.get("grpc-core")) is None
    code = main(["attack", "run", "kci-dh-key/wheel-static", "--json"])
    (trial,) = json.loads(capsys.readouterr().out)["attacks"][0]["trials"]
    if trial["outcome"] == "skipped":
        pytest.skip(trial["message"])
    assert (code, trial["outcome"]) == (0, "works"), trial["message"]
    assert any("authenticated prod/frontend" in text for text in trial["evidence"]["believed"])
