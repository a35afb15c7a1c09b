"""Ask the deployed stack a question, as its callers do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_cloud.stack.stack import Stack

BRIEF = "Answer in one short sentence."


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from one ``POST /ask``, and how long it took."""

    status_code: int
    body: dict[str, Any]
    seconds: float

    @property
    def cache(self) -> dict[str, Any]:
        """The reply's ``cache`` field."""
        cache: dict[str, Any] = self.body.get("cache", {})
        return cache

    @property
    def status(self) -> str:
        """What the cache did, or the HTTP status of a reply that is no answer."""
        return str(self.cache.get("status", self.status_code))


def ask(stack: Stack, question: str, **body: Any) -> Reply:
    """Send one question to the Function URL, signed."""
    sent = {"question": question, "system": BRIEF, **body}
    began = time.perf_counter()
    response = stack.request("POST", url(stack), body=sent)
    seconds = time.perf_counter() - began
    try:
        return Reply(response.status_code, response.json(), seconds)
    except ValueError:
        return Reply(response.status_code, {"error": response.text}, seconds)


def url(stack: Stack) -> str:
    """Return where questions are sent to."""
    return stack.outputs["AskUrl"] + "ask"
