"""The deployment, proved end to end: the real ``sam`` against the emulated AWS, row by row."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from tests.e2e.proof import deletion, environments, faults, topics, updates, ways, weights
from tests.e2e.proof.proof import COLUMNS, Proof, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.proof.environments import Sleeper

__all__ = ["COLUMNS", "Proof", "Row", "invoke", "prove", "under_awss_runtime"]


def prove(proof: Proof) -> None:
    """Tell the whole story over a stack that was just deployed; it is deleted at the end."""
    updates.complete(proof)
    invoke(proof)
    with _asleep(proof) as sleeper:
        updates.again(proof)
        updates.library(proof)
        updates.parameters(proof)
        updates.failing(proof)
        under_awss_runtime(proof)
        if sleeper:
            sleeper.wake(proof)
    deletion.deletion(proof)


def invoke(proof: Proof) -> None:
    """Invoke the functions in every way there is."""
    ways.by_alias(proof)
    ways.by_url(proof)
    ways.by_schedule(proof)
    faults.full_database(proof)
    ways.failing_by_schedule(proof)
    ways.dead_letters(proof)
    ways.by_upload(proof)
    topics.by_topic(proof)
    ways.failing_by_queue(proof)


def under_awss_runtime(proof: Proof) -> None:
    """Run what was deployed under AWS's own runtime client, where that is to be had."""
    if sys.platform != "linux":
        proof.note("AWS's own runtime client", "left out: published for Linux only")
        return
    stack = proof.cloud.stack
    for name in stack.functions:
        with proof.cloud.downloaded(name) as deployed:
            if name == "AskFunction":
                weights.layer(proof, deployed)
            weights.function(proof, deployed)
            environments.limits(proof, deployed)
            if name == "AskFunction":
                environments.deadline(proof, deployed)
                environments.timeout(proof, deployed)
                faults.crash(proof, deployed)
                faults.throttled(proof, deployed)
                environments.several(proof, deployed)
                environments.snapstart(proof, deployed)
            if name == "SummarizeFunction":
                environments.large(proof, deployed)


@contextlib.contextmanager
def _asleep(proof: Proof) -> Iterator[Sleeper | None]:
    if sys.platform != "linux":
        yield None
        return
    with environments.asleep(proof) as sleeper:
        yield sleeper
