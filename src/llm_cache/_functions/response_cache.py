"""What a function returns, behind the cache: JSON, found before LangChain is even imported."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, ClassVar, NamedTuple, Unpack, cast, overload

from llm_cache._checks import function, instance
from llm_cache._config.settings import Settings
from llm_cache._engine.assembly import Bounds, configured
from llm_cache._engine.core import Cache
from llm_cache._engine.request import Question
from llm_cache._entries.envelope import Entry
from llm_cache._entries.json_bounds import is_count, parsed
from llm_cache._errors import UnreadableEntry
from llm_cache._policy.cache_policy import CachePolicy, Mode
from llm_cache._protocol.drivers import always, arun, may_block, run
from llm_cache._protocol.effects import Command, Pause
from llm_cache._reasons import Reason
from llm_cache._report import NO_TOKENS, Outcome, Report, Tokens

Response = dict[str, Any]


class Uncached(NamedTuple):
    """Return it from a cached function: the caller gets ``response``, the cache stores nothing.

    The report names ``reason``. Callers that waited for the response call the function themselves.
    """

    response: Response
    reason: Reason


Answering = Callable[[Any], Response | Uncached]
AsyncAnswering = Callable[[Any], Awaitable[Response | Uncached]]
Validate = Callable[[Response], object]


class Ask:
    """The step that the cached function itself does."""


Answered = Generator[Command | Pause | Ask, Any, Response]


class ResponseCache(Cache[Response]):
    """Keep what a function returns: a ``dict`` of JSON, for a request that is JSON too.

    A hit needs no LangChain, no client of the model and no prompt, and so costs a cold start none
    of their imports. Policies, tags, tenants and clears are those of ``UpstashRedisCache`` over the
    same namespace: one clear clears both. ``Cache`` has the other arguments.

    - ``version``: enters the key; what changes an answer beside the request, such as the model's id
      and settings, and the version of the code
    - ``validate``: called with each response that is read or to be stored; if it raises or returns
      False, the entry is a miss and is deleted, or the response is not stored

    The ``usage`` of a response, where it has ``input_tokens`` and ``output_tokens`` as LangChain's
    ``usage_metadata`` has, is what a hit saves.
    """

    def __init__(
        self,
        redis_: object,
        *,
        version: str,
        validate: Validate | None = None,
        **bounds: Unpack[Bounds],
    ) -> None:
        checked = None if validate is None else function("validate", validate, "whether to accept")
        super().__init__(redis_, Responses(checked), **bounds)
        self._version = instance("version", version, str, "text")

    @classmethod
    def from_env(
        cls,
        *,
        version: str,
        validate: Validate | None = None,
        environ: Mapping[str, str] | None = None,
        namespace: str | None = None,
    ) -> ResponseCache:
        """Build what the environment describes, as ``UpstashRedisCache.from_env`` does."""
        store, bounds = configured(Settings.from_env(environ, namespace=namespace))
        return cls(store, version=version, validate=validate, **bounds)

    def lookup(self, request: object) -> Response | None:
        """Return the stored response, or None. One command."""
        return self._lookup(self._question(request))

    async def alookup(self, request: object) -> Response | None:
        """Return the stored response, or None. One command."""
        return await self._alookup(self._question(request))

    def update(self, request: object, response: Response | Uncached) -> None:
        """Store a response, unless the policy or ``Uncached`` forbids it. One command."""
        self._update(self._question(request), response)

    async def aupdate(self, request: object, response: Response | Uncached) -> None:
        """Store a response, unless the policy or ``Uncached`` forbids it. One command."""
        await self._aupdate(self._question(request), response)

    @overload
    def cached(self, answer: AsyncAnswering) -> Callable[[Any], Awaitable[Response]]: ...
    @overload
    def cached(self, answer: Answering) -> Callable[[Any], Response]: ...
    def cached(self, answer: Any) -> Any:
        """Put a function of one request, blocking or asynchronous, behind the cache: a decorator.

        What LangChain's cache would keep of the same question is not kept twice: models that are
        called inside see ``mode="bypass"``. Without this line their own cache answers. Where the
        policy has ``stale_if_error``, an expired response stands in for one that fails. What the
        function returns as ``Uncached`` is not stored; the caller gets the response alone.
        """
        if iscoroutinefunction(answer):

            @functools.wraps(answer)
            async def aanswered(request: Any) -> Response:
                async def execute(step: Command | Ask) -> Any:
                    if isinstance(step, Ask):
                        with self.policy(COMPUTING):
                            return await answer(request)
                    return await self._aexecute(step)

                with self.policy() as report:
                    await self._prefetch(self._question(request))
                    return await arun(self._answered(request, report, may_wait=always), execute)

            return aanswered

        @functools.wraps(answer)
        def answered(request: Any) -> Response:
            def execute(step: Command | Ask) -> Any:
                if isinstance(step, Ask):
                    with self.policy(COMPUTING):
                        return answer(request)
                return self._execute(step)

            with self.policy() as report:
                return run(self._answered(request, report, may_wait=may_block), execute)

        return answered

    def _answered(self, request: Any, report: Report, *, may_wait: Callable[[], bool]) -> Answered:
        """Answer one request. ``report`` is its own: what another left to spare is not for it."""
        asked = self._question(request)
        if asked.bypasses:
            return _plain((yield Ask()))
        found = yield from self._answers.lookup(asked, may_wait=may_wait)
        if found is not None:
            return found
        try:
            response: Response | Uncached = yield Ask()
        except Exception:
            if (spare := report.serve_stale()) is None:
                raise
            return cast("Response", spare[1])
        yield from self._answers.update(self._question(request), response)
        return _plain(response)

    def _question(self, request: object) -> Question:
        def asked(policy: CachePolicy) -> tuple[str, ...]:
            if policy.key is not None:
                return "response, by its own key", policy.key
            text = json.dumps(request, sort_keys=True, separators=(",", ":"), allow_nan=False)
            return "response", self._version, text

        return self._about(asked)


COMPUTING = CachePolicy(mode=Mode.BYPASS)


def _plain(answer: Response | Uncached) -> Response:
    return answer.response if isinstance(answer, Uncached) else answer


@dataclass(frozen=True, slots=True)
class Responses:
    """Answers that are one ``dict`` of JSON which ``validate``, if given, accepts."""

    validate: Validate | None = None

    codec: ClassVar[str] = "json"

    def serialize(self, answer: Any) -> tuple[str, ...] | None:
        """Return it as text, or None when it would come back as something else."""
        try:
            text = json.dumps(answer, separators=(",", ":"))
            same = parsed(text) == answer and self._valid(answer)
        except (TypeError, ValueError, RecursionError):
            return None
        return (text,) if same else None

    def read(self, entry: Entry) -> Response:
        """Return it; raise ``UnreadableEntry`` for what is no such answer."""
        match entry.answer:
            case (dict() as response,) if self._valid(response):
                return response
        raise UnreadableEntry("not a response of the function")

    def _valid(self, answer: Any) -> bool:
        try:
            right = self.validate is None or self.validate(answer) is not False
        except Exception:  # noqa: BLE001  a validator is code of any kind
            return False
        return isinstance(answer, dict) and answer != {} and right

    def unwanted(self, answer: Any) -> Reason | None:
        """Return why the function's answer is not stored: it is ``Uncached``, or empty."""
        if isinstance(answer, Uncached):
            return answer.reason
        return None if answer else Reason.EMPTY

    def tokens(self, answer: Response) -> Tokens:
        """Return the tokens of its ``usage``, where that can be one."""
        match answer.get("usage"):
            case {"input_tokens": read, "output_tokens": written}:
                return Tokens(read, written) if is_count(read) and is_count(written) else NO_TOKENS
        return NO_TOKENS

    def served(self, answer: Response, outcome: Outcome) -> Response:  # noqa: ARG002
        """Return it as it was stored: the report tells that it was."""
        return answer
