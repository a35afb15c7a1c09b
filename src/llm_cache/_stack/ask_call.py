"""Send questions to `POST /ask` of a deployed stack."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import httpx

from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.function_url import emulator_url, json_headers, signed_headers
from llm_cache._stack.stack_access import StackAccess

ANSWER_SECONDS = 125.0  # longer than the function's timeout
TRIES = 5
LONGEST_PAUSE = 30.0  # seconds, whatever Retry-After says
REFUSED = (401, 403, 404)  # every other question would get the same reply
BUSY = (429, 503)
FORBIDDEN = (
    "; the caller needs lambda:InvokeFunctionUrl and lambda:InvokeFunction on the function ask"
)


class AskReply(NamedTuple):
    """The reply to one question. A reply without an answer has a ``failure``."""

    body: dict[str, Any]
    failure: str | None = None

    @property
    def cache(self) -> dict[str, Any]:
        """What the cache did; see docs/ask.md."""
        cache: dict[str, Any] = self.body.get("cache") or {}
        return cache


@dataclass(frozen=True, slots=True)
class AskCall:
    """Sends signed requests to ``POST /ask`` of one stack."""

    url: str
    region: str
    credentials: Any

    @classmethod
    def of(cls, access: StackAccess) -> Self:
        """Find the stack's Function URL; raise botocore's error without credentials."""
        from botocore.exceptions import NoCredentialsError

        credentials = access.session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return cls(access.stack.output("AskUrl") + "ask", access.session.region_name, credentials)

    def send(self, body: bytes) -> AskReply:
        """Send a body of ``POST /ask`` once; raise ``CommandFailure`` without a reply."""
        with httpx.Client(timeout=ANSWER_SECONDS) as client:
            try:
                return self._reply(client.send(self._request(body)))
            except httpx.HTTPError as error:
                raise self._no_reply(error) from None

    async def send_patiently(self, client: httpx.AsyncClient, body: bytes) -> AskReply:
        """Send a body, again while the function is throttled or busy: five times at most.

        Waits for the seconds of ``Retry-After``, else 1, 2, 4 and 8; never longer than 30. Raises
        ``CommandFailure`` if no other question would be answered either: the function refuses the
        caller or cannot be reached.
        """
        response: httpx.Response | None
        for number in range(1, TRIES + 1):
            try:
                response = await client.send(self._request(body))
            except httpx.ReadTimeout as error:
                return AskReply({}, str(self._no_reply(error)))
            except httpx.HTTPError as error:
                if number == TRIES:
                    raise self._no_reply(error) from None
                response = None
            else:
                if response.status_code not in BUSY or number == TRIES:
                    return self._reply(response)
            await asyncio.sleep(_pause(response, number))
        raise AssertionError  # the last try returns or raises

    def _request(self, body: bytes) -> httpx.Request:
        headers = self._headers(body)
        emulator = os.environ.get("AWS_ENDPOINT_URL")
        address = emulator_url(emulator, self.url) if emulator else self.url
        timeout = httpx.Timeout(ANSWER_SECONDS).as_dict()
        return httpx.Request(
            "POST", address, headers=headers, content=body, extensions={"timeout": timeout}
        )

    def _headers(self, body: bytes) -> dict[str, str]:
        from botocore.exceptions import BotoCoreError

        from llm_cache._stack.aws_errors import explain

        headers = json_headers(self.url)
        try:  # the credentials may expire during a long run
            signer = self.credentials.get_frozen_credentials()
            return signed_headers(
                "POST", self.url, body, headers, credentials=signer, region=self.region
            )
        except BotoCoreError as error:
            raise CommandFailure(explain(error, self.region)) from None

    def _reply(self, response: httpx.Response) -> AskReply:
        body = _json_object(response)
        if response.is_success:
            return AskReply(body)
        failure = _failure(response.status_code, body)
        if response.status_code in REFUSED:
            raise CommandFailure(f"POST {self.url}: {failure}")
        return AskReply(body, failure)

    def _no_reply(self, error: httpx.HTTPError) -> CommandFailure:
        return CommandFailure(f"POST {self.url}: {type(error).__name__} {error}".rstrip())


def _pause(response: httpx.Response | None, number: int) -> float:
    """Return the seconds before the next try; ``Retry-After`` may also be a date (ignored)."""
    given = response.headers.get("Retry-After", "") if response else ""
    seconds = float(given) if given.isdecimal() else 2.0 ** (number - 1)
    return min(seconds, LONGEST_PAUSE)


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _failure(status: int, body: dict[str, Any]) -> str:
    """Return the status with the function's error, else with AWS's message."""
    match body:
        case {"error": {"code": str(code), "message": str(message), **rest}}:
            field = f"{rest['field']}: " if "field" in rest else ""
            return f"{status} {code}: {field}{message}"
        case {"Message": str(message)} | {"message": str(message)}:
            return f"{status} {message}" + (FORBIDDEN if message == "Forbidden" else "")
    return f"{status} without an explanation"
