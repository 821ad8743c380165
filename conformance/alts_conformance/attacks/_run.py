"""Running trials: each within its time, judged by evidence, told as it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ._attacker import HangError
from ._record import Attack, Outcome, Result, Trial
from ._stage import Hosts, Stage
from ._story import Story

LIMIT = 90.0
"""Seconds that a trial may take before it counts as hung."""


async def run_trial(
    attack: Attack, trial: Trial, hosts: Hosts, tell: Callable[[str], None] | None = None, wheels: object = None
) -> Result:
    """Run one trial; never raises for what the trial does."""
    story = Story(tell)
    story.lines.append(attack.story)
    story.say(f"{attack.name}/{trial.name}: {trial.condition}")
    stage = Stage(story, hosts, wheels)
    begin, message = time.monotonic(), ""
    try:
        async with asyncio.timeout(LIMIT):
            outcome = await trial.play(stage)
        if stage.attacker.faults:
            raise stage.attacker.faults[0]
        if not stage.controls or not stage.believed or not stage.signs or not stage.attacker.did:
            outcome, message = Outcome.HARNESS, "the trial has shown no honest traffic, no evidence or no attack"
        elif outcome is Outcome.PARTLY:
            message = f"the attack worked in part: {', '.join(stage.evidence().signs)}"
    except (HangError, TimeoutError) as error:
        outcome, message = Outcome.HANG, str(error) or f"over {LIMIT:g} s"
    except Exception as error:  # whatever it is, nothing was shown
        outcome, message = Outcome.HARNESS, f"{type(error).__name__}: {error}"
    finally:
        evidence = stage.evidence()
        await stage.close()
    story.say(f"outcome: {outcome}" + (f": {message}" if message else ""))
    return Result(
        attack.name,
        trial.name,
        trial.condition,
        trial.expected,
        outcome,
        evidence,
        time.monotonic() - begin,
        tuple(story.lines),
        tuple(story.steps),
        tuple(story.frames),
        message,
        trial.query,
    )
