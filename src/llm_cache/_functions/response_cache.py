"""A cache for functions that return JSON. A hit imports no LangChain."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, ClassVar, NamedTuple, Unpack, cast, overload

from llm_cache._checks import function, instance
from llm_cache._config.cache_config import CacheConfig
from llm_cache._engine.cache_call import CacheCall
from llm_cache._engine.core import Cache
from llm_cache._engine.from_config import store_and_options
from llm_cache._engine.options import CacheOptions
from llm_cache._entries.envelope import Entry
from llm_cache._entries.json_bounds import is_count, parse_json
from llm_cache._errors import UnreadableEntry
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.modes import Mode
from llm_cache._protocol.drivers import always, arun, may_block, run
from llm_cache._protocol.effects import Command, Pause
from llm_cache._reasons import Reason
from llm_cache._report import NO_TOKENS, Outcome, Report, Tokens

Response = dict[str, Any]


class Uncached(NamedTuple):
    """A response that a cached function returns to its caller only: the cache stores nothing.

    The report names ``reason``. Callers that waited for the response call the function themselves.
    """

    response: Response
    reason: Reason


Function = Callable[[Any], Response | Uncached]
AsyncFunction = Callable[[Any], Awaitable[Response | Uncached]]
Validate = Callable[[Response], object]


class CallFunction:
    """The step in which the driver calls the cached function."""


Steps = Generator[Command[Any] | Pause | CallFunction, Any, Response]


class ResponseCache(Cache[Response]):
    """Store the response of a function, a ``dict`` of JSON, for a request that is JSON too.

    A hit imports neither LangChain nor the model's client, which shortens a cold start. Policies,
    tags and tenants work as in ``UpstashRedisCache``; with the same namespace, one clear clears
    both caches. ``Cache`` documents the other arguments.

    - ``version``: text that enters the key. It names everything else that changes an answer, such
      as the model's id and settings and the version of your code.
    - ``validate``: called with each response read or about to be stored. If it raises or returns
      False, a read response is a miss and its entry is deleted; a new response is not stored.

    A hit saves the tokens in the ``usage`` of the response, which has ``input_tokens`` and
    ``output_tokens`` as LangChain's ``usage_metadata`` does.
    """

    def __init__(
        self,
        redis_: object,
        *,
        version: str,
        validate: Validate | None = None,
        **options: Unpack[CacheOptions],
    ) -> None:
        checked = None if validate is None else function("validate", validate, "whether to accept")
        super().__init__(redis_, Responses(checked), **options)
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
        """Build a cache from environment variables, as ``UpstashRedisCache.from_env`` does."""
        store, options = store_and_options(CacheConfig.from_env(environ, namespace=namespace))
        return cls(store, version=version, validate=validate, **options)

    def lookup(self, request: object) -> Response | None:
        """Return the stored response, or None. One command."""
        return self._lookup(self._call_of(request))

    async def alookup(self, request: object) -> Response | None:
        """Return the stored response, or None. One command."""
        return await self._alookup(self._call_of(request))

    def update(self, request: object, response: Response | Uncached) -> None:
        """Store a response, unless the policy or ``Uncached`` forbids it. One command."""
        self._update(self._call_of(request), response)

    async def aupdate(self, request: object, response: Response | Uncached) -> None:
        """Store a response, unless the policy or ``Uncached`` forbids it. One command."""
        await self._aupdate(self._call_of(request), response)

    def delete(self, request: object = ..., *, key: str | None = None) -> bool:
        """Delete the response to a request, or with a key; return whether there was one.

        It costs and raises what ``UpstashRedisCache.delete`` does.
        """
        return self._delete(self._to_delete(request, key))

    async def adelete(self, request: object = ..., *, key: str | None = None) -> bool:
        """Delete one response, as ``delete`` does."""
        return await self._adelete(self._to_delete(request, key))

    def _to_delete(self, request: object, key: str | None) -> CacheCall[Response] | str:
        if (request is ...) is (key is None):
            raise TypeError("delete() takes a request or a key")
        return self._call_of(request) if key is None else key

    def explain(self, request: object, *, values: bool = False) -> dict[str, Any]:
        """Return every part of the key of a request, as ``UpstashRedisCache.explain`` does."""
        from llm_cache._engine.explanation import Shown, explain  # noqa: PLC0415  no lookup needs it

        call = self._call_of(request)
        form, *texts = call.key_parts(call.policy)

        def describe(show: Shown) -> dict[str, Any]:
            if call.policy.key is not None:
                return {"form": form, "own_key": show(texts[0])}
            version, text = texts
            return {"form": form, "version": show(version), "request": show(json.loads(text))}

        return explain(call, describe, values=values)

    @overload
    def cached(self, answer: AsyncFunction) -> Callable[[Any], Awaitable[Response]]: ...
    @overload
    def cached(self, answer: Function) -> Callable[[Any], Response]: ...
    def cached(self, answer: Any) -> Any:
        """Decorate a function of one request, blocking or asynchronous, with this cache.

        Models called inside the function bypass their own cache, so that no answer is stored twice.
        If the policy has ``stale_if_error`` and the function fails, an expired response is served.
        A response returned as ``Uncached`` is passed to the caller and not stored.
        """
        if iscoroutinefunction(answer):

            @functools.wraps(answer)
            async def aanswered(request: Any) -> Response:
                async def execute(step: Command[Any] | CallFunction) -> Any:
                    if isinstance(step, CallFunction):
                        with self.policy(COMPUTING):
                            return await answer(request)
                    return await self._runner.aexecute(step)

                with self.policy() as report:
                    await self._prefetch(self._call_of(request))
                    return await arun(self._answering(request, report, may_wait=always), execute)

            return aanswered

        @functools.wraps(answer)
        def answered(request: Any) -> Response:
            def execute(step: Command[Any] | CallFunction) -> Any:
                if isinstance(step, CallFunction):
                    with self.policy(COMPUTING):
                        return answer(request)
                return self._runner.execute(step)

            with self.policy() as report:
                return run(self._answering(request, report, may_wait=may_block), execute)

        return answered

    def _answering(self, request: Any, report: Report, *, may_wait: Callable[[], bool]) -> Steps:
        """Answer one request. ``report`` must be of this request alone, for its stale answer."""
        call = self._call_of(request)
        if call.bypasses:
            return _response((yield CallFunction()))
        found = yield from self._reader.lookup(call, may_wait=may_wait)
        if found is not None:
            return found
        try:
            response: Response | Uncached = yield CallFunction()
        except Exception:
            if (stale := report.serve_stale()) is None:
                raise
            return cast("Response", stale[1])
        yield from self._writer.update(self._call_of(request), response)
        return _response(response)

    def _call_of(self, request: object) -> CacheCall[Response]:
        def key_parts(policy: CachePolicy) -> tuple[str, ...]:
            if policy.key is not None:
                return "response, by its own key", policy.key
            text = json.dumps(request, sort_keys=True, separators=(",", ":"), allow_nan=False)
            return "response", self._version, text

        return self._call(key_parts)


COMPUTING = CachePolicy(mode=Mode.BYPASS)


def _response(answer: Response | Uncached) -> Response:
    return answer.response if isinstance(answer, Uncached) else answer


@dataclass(frozen=True, slots=True)
class Responses:
    """The kind of answers that are a JSON object accepted by ``validate``."""

    validate: Validate | None = None

    name: ClassVar[str] = "json"

    def serialize(self, answer: Any) -> tuple[str, ...] | None:
        """Return an answer as JSON text; None if it cannot be restored exactly."""
        try:
            text = json.dumps(answer, separators=(",", ":"))
            same = parse_json(text) == answer and self._valid(answer)
        except (TypeError, ValueError, RecursionError):
            return None
        return (text,) if same else None

    def read(self, entry: Entry) -> Response:
        """Return the answer of an entry; raise ``UnreadableEntry`` if it has none."""
        match entry.answer:
            case (dict() as response,) if self._valid(response):
                return response
        raise UnreadableEntry("not a response of the function")

    def _valid(self, answer: Any) -> bool:
        try:
            accepted = self.validate is None or self.validate(answer) is not False
        except Exception:  # noqa: BLE001  a validator is code of any kind
            return False
        return isinstance(answer, dict) and answer != {} and accepted

    def uncacheable_reason(self, answer: Any) -> Reason | None:
        """Return why an answer is not stored: it is ``Uncached`` or empty."""
        if isinstance(answer, Uncached):
            return answer.reason
        return None if answer else Reason.EMPTY

    def tokens(self, answer: Response) -> Tokens:
        """Return the tokens of the answer's ``usage``, if that is valid."""
        match answer.get("usage"):
            case {"input_tokens": read, "output_tokens": written}:
                return Tokens(read, written) if is_count(read) and is_count(written) else NO_TOKENS
        return NO_TOKENS

    def served(self, answer: Response, outcome: Outcome) -> Response:  # noqa: ARG002
        """Return the answer as stored."""
        return answer
