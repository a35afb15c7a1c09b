"""Send questions to `POST /ask` of the deployed stack."""

import time
from dataclasses import dataclass
from typing import Any

from local_cloud.stack.emulated_stack import EmulatedStack

SYSTEM = "Answer in one short sentence."


@dataclass(frozen=True, slots=True)
class AskReply:
    """The reply to one request, and its duration."""

    status_code: int
    body: dict[str, Any]
    seconds: float

    @property
    def cache(self) -> dict[str, Any]:
        """The reply's `cache` field."""
        cache: dict[str, Any] = self.body.get("cache", {})
        return cache

    @property
    def status(self) -> str:
        """The cache status, or the HTTP status if the reply has none."""
        return str(self.cache.get("status", self.status_code))


def ask(stack: EmulatedStack, question: str, **body: Any) -> AskReply:
    """Send a signed question to the Function URL."""
    sent = {"question": question, "system": SYSTEM, **body}
    began = time.perf_counter()
    response = stack.request("POST", ask_url(stack), body=sent)
    seconds = time.perf_counter() - began
    try:
        return AskReply(response.status_code, response.json(), seconds)
    except ValueError:
        return AskReply(response.status_code, {"error": response.text}, seconds)


def ask_url(stack: EmulatedStack) -> str:
    """Return the URL of `POST /ask`."""
    return stack.outputs["AskUrl"] + "ask"


def description_url(stack: EmulatedStack) -> str:
    """Return the URL of `GET /openapi.json`, which calls neither the cache nor the model.

    (The emulated AWS itself answers `GET /health`, on every host.)
    """
    return stack.outputs["AskUrl"] + "openapi.json"
