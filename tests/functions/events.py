"""Events as AWS sends them, by kind: `events/<kind>/*.json`; and what Lambda passes beside one.

- ``http``: fronts that ``ask`` serves (`fronts/*.json` has more)
- ``unsupported``: other fronts and notifications that can be pointed at a function
- ``services``: other services, and inputs that people write
- ``schedules``: what EventBridge Scheduler sends to ``flush_cache``
- ``sqs``: batches of a queue
"""

import json
from pathlib import Path
from typing import Any

from local_cloud.stack.events import function_url, signed_by

__all__ = ["Context", "event", "function_url", "names", "signed_by"]

FOLDER = Path(__file__).parent / "events"


def names(*kinds: str) -> list[str]:
    """Return the names of the events of some kinds, or of all: ``kind/name``."""
    found = sorted(path.relative_to(FOLDER).with_suffix("") for path in FOLDER.glob("*/*.json"))
    return [str(path) for path in found if not kinds or path.parts[0] in kinds]


def event(name: str) -> Any:
    """Read an event anew."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


class Context:
    """What Lambda passes beside the event."""

    function_name = "ask"
    function_version = "1"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ask:live"
    aws_request_id = "6f2d1ab0-0000-4000-8000-000000000000"

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)
