"""A thousand requests while environments freeze, die and run out of time."""

import os
import sys

import pytest
from tests.e2e.chaos import Chaos, wrong

from local_cloud.cloud import LocalCloud

REQUESTS = 1000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no runtime client elsewhere")


def test_a_thousand_requests_in_spite_of_all() -> None:
    seed = int(os.environ.get("CHAOS_SEED") or int.from_bytes(os.urandom(4)))
    print(f"CHAOS_SEED={seed}")
    with LocalCloud.start(model="smollm2") as cloud, cloud.downloaded("AskFunction") as deployed:
        chaos = Chaos(cloud, deployed, REQUESTS, seed)
        chaos.run()
    assert len(chaos.asked) == REQUESTS
    assert any(asked.harmed and not asked.status for asked in chaos.asked)
    found = wrong(chaos)
    print(*found, sep="\n")
    assert not found, f"{len(found)} things are wrong, as printed"
