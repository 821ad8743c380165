"""The harness's end of the driver protocol against drivers that misbehave, and the published schemas."""

from __future__ import annotations

import ast
import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_conformance import PeerCrashed, PeerHung, PeerMisbehaved, _payload, _report, _shapes
from alts_conformance._driver import Driver, DriverRefused
from alts_conformance.drivers import grpc_core
from tests.conformance.fakes import write_fakes


def start(folder: Path, mode: str) -> Coroutine[Any, Any, Driver]:
    return Driver.start([*write_fakes(folder).split(), mode], name="fake", seconds=20)


def test_greeting_and_canary(tmp_path: Path) -> None:
    async def main() -> None:
        driver = await start(tmp_path, "good")
        assert driver.hello["version"] == "1.2.3"
        assert await driver.reset()
        with pytest.raises(DriverRefused, match="unsupported"):
            await driver.call("connect")
        await driver.kill()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("mode", "complaint"),
    [("accepts-anything", "accepts the canary"), ("odd-canary", "nonsense"), ("other-protocol", "protocol 2")],
)
def test_a_driver_that_cannot_be_believed_is_refused(tmp_path: Path, mode: str, complaint: str) -> None:
    with pytest.raises(PeerMisbehaved, match=complaint):
        asyncio.run(start(tmp_path, mode))


def test_a_driver_that_dies_is_a_crash(tmp_path: Path) -> None:
    async def main() -> None:
        driver = await start(tmp_path, "dies")
        try:
            with pytest.raises(PeerCrashed, match="exit code 7"):
                await driver.call("start_server")
            assert not driver.alive
        finally:
            await driver.kill()

    asyncio.run(main())


def test_a_driver_that_sleeps_is_a_hang(tmp_path: Path) -> None:
    async def main() -> None:
        driver = await start(tmp_path, "sleeps")
        try:
            with pytest.raises(PeerHung):
                await driver.call("start_server", seconds=0.2)
            assert not driver.alive
            assert not await driver.reset()
        finally:
            await driver.kill()

    asyncio.run(main())


def test_a_driver_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PeerCrashed, match="126"):
        asyncio.run(Driver.start([str(tmp_path / "nothing")], name="none"))


@settings(max_examples=50)
@given(st.integers(0, 2**48), st.integers(0, 2**20 - 8), st.integers(0, 300), st.integers(0, 200), st.integers(0, 4))
def test_the_drivers_compute_the_same_payload(seed: int, index: int, size: int, response: int, count: int) -> None:
    request = _payload.make_request(seed, index, size, response, count)
    assert len(request) == size
    assert grpc_core.make_request(seed, index, size, response, count) == request
    assert list(grpc_core.responses_to(request)) == _payload.responses_to(request)
    tally = grpc_core.Tally()
    tally.add(request)
    assert tally.report("x")["x_sha256"] == _payload.digest([request])
    assert tally.summary() == _payload.summary_of(1, size, _payload.digest([request]))


def test_the_wheel_driver_follows_the_published_schema() -> None:
    schema = _report.schema("driver")
    checks = {
        kind: jsonschema.Draft202012Validator({**schema, "anyOf": [{"$ref": f"#/$defs/{kind}"}]})
        for kind in ("command", "answer")
    }

    async def main() -> None:
        driver = await Driver.start([sys.executable, grpc_core.__file__], name="grpc-core")
        checks["answer"].validate(driver.hello)

        async def call(command: str, **fields: Any) -> dict[str, Any]:
            checks["command"].validate({"id": 1, "command": command, **fields})
            answer = await driver.call(command, **fields)
            checks["answer"].validate(answer)
            return answer

        server = await call("start_server", security="insecure")
        channel = (await call("connect", security="insecure", target=f"127.0.0.1:{server['port']}"))["channel"]
        outcomes = [
            await call(
                "rpc",
                channel=channel,
                method=method,
                seed=3,
                messages=count,
                request_bytes=40,
                response_bytes=5,
                responses=2,
            )
            for method, count in (("Unary", 1), ("ServerStream", 1), ("ClientStream", 3), ("Bidi", 3), ("WhoAmI", 1))
        ]
        assert [outcome["status"] for outcome in outcomes] == [0] * 5
        assert [outcome["received_messages"] for outcome in outcomes] == [1, 2, 1, 6, 1]
        calls = (await call("observe", server=server["server"]))["calls"]
        assert [entry["method"] for entry in calls] == ["Unary", "ServerStream", "ClientStream", "Bidi", "WhoAmI"]
        await call("close", channel=channel)
        await call("stop_server", server=server["server"])
        await call("reset")
        await driver.kill()

    asyncio.run(main())


def test_a_driver_that_has_misbehaved_is_not_used_again(tmp_path: Path) -> None:
    async def main() -> None:
        driver = await start(tmp_path, "no-json")
        try:
            for _ in range(2):
                with pytest.raises(PeerMisbehaved, match="peer fake writes a line to stdout that is no answer"):
                    await driver.call("start_server")
            assert not driver.alive
            assert not await driver.reset()
        finally:
            await driver.kill()

    asyncio.run(main())


def test_every_command_has_a_published_answer() -> None:
    commands = _report.schema("driver")["$defs"]["command"]["oneOf"]
    assert _shapes.known_commands() == {entry["properties"]["command"]["const"] for entry in commands}


def test_schemas_are_schemas() -> None:
    for name in ("report", "known", "driver"):
        jsonschema.Draft202012Validator.check_schema(_report.schema(name))


def test_nonsense_breaks_the_schema() -> None:
    validator = jsonschema.Draft202012Validator({**_report.schema("driver"), "anyOf": [{"$ref": "#/$defs/command"}]})
    for document in (
        {},
        {"id": 1, "command": "rpc"},
        {"id": "1", "command": "reset"},
        {"id": 1, "command": "reset", "more": 1},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(json.loads(json.dumps(document)))


def test_the_wheel_driver_runs_where_only_a_wheel_is() -> None:
    """Standard library and grpc only, in the language of Python 3.8: old wheels come with old interpreters."""
    tree = ast.parse(Path(grpc_core.__file__).read_text(), feature_version=(3, 8))
    imported = {
        (name.name if isinstance(node, ast.Import) else str(node.module)).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= {*sys.stdlib_module_names, "grpc"}
