"""Events of AWS by kind, `events/<kind>/*.json`, and Lambda's context.

- ``fronts``: one event of each front that ``ask`` serves, from AWS's documentation
- ``http``: more events of those fronts
- ``unsupported``: other fronts, and notifications that can invoke a function
- ``services``: other services, and inputs that people write
- ``schedules``: EventBridge Scheduler, for ``flush_cache``
- ``sqs``: batches of a queue
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_cloud.stack.lambda_events import function_url, signed_by

__all__ = ["Context", "event", "front", "function_url", "names", "signed_by"]

FOLDER = Path(__file__).parent / "events"
FRONTS = sorted(path.stem for path in FOLDER.glob("fronts/*.json"))
DIRECT = ["direct", "step_functions"]
HTTP = [name for name in FRONTS if name not in DIRECT]
UNIDENTIFIED = ["alb", "alb_multi_value", "function_url_none", "http_api_lambda", "rest_api_none"]
IDENTIFIED = [name for name in HTTP if name not in UNIDENTIFIED]


def names(*kinds: str) -> list[str]:
    """Return the names of all events, or of some kinds: ``kind/name``."""
    found = sorted(path.relative_to(FOLDER).with_suffix("") for path in FOLDER.glob("*/*.json"))
    return [str(path) for path in found if not kinds or path.parts[0] in kinds]


def event(name: str) -> Any:
    """Return a new copy of an event."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def front(name: str) -> Any:
    return event(f"fronts/{name}")


class Context:
    function_name = "ask"
    function_version = "1"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ask:live"
    aws_request_id = "6f2d1ab0-0000-4000-8000-000000000000"

    def __init__(self, seconds: float | Callable[[], float] = 60) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.seconds() if callable(self.seconds) else self.seconds))
