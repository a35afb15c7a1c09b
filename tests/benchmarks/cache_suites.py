"""Passing tests of LangChain's own cache suites, for this library and the replaced class."""

import asyncio
import contextlib
import inspect
import io

from langchain_core.caches import BaseCache
from langchain_tests.integration_tests.cache import AsyncCacheTestSuite, SyncCacheTestSuite
from tests.benchmarks.replaced_class import Replaced
from tests.benchmarks.servers import served
from tests.benchmarks.tables import Row, Table
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

KINDS = {"this library": UpstashRedisCache, "replaced class": Replaced}
COLUMNS = {"name": "class", "passed": "tests that pass", "tests": "of"}


def passes(suite: type, name: str, cache: BaseCache) -> bool:
    concrete = type(suite.__name__, (suite,), {"cache": None})()
    try:
        test = getattr(concrete, name)
        with contextlib.redirect_stdout(io.StringIO()):  # a test prints
            result = test(cache) if inspect.signature(test).parameters else test()
            if inspect.iscoroutine(result):
                asyncio.run(result)
    except Exception:  # noqa: BLE001  any error is a failed test
        return False
    return True


def count(redis: Redis, kind: type) -> tuple[int, int]:
    """Return the passed tests and all tests; each starts with an empty database."""
    results = []
    for suite in (SyncCacheTestSuite, AsyncCacheTestSuite):
        for name in dir(suite):
            if name.startswith("test_"):
                redis.flushdb()
                results.append(passes(suite, name, kind(redis)))
    return sum(results), len(results)


def measure(*, short: bool) -> list[Table]:
    """Count for both classes; a short run is the same."""
    with served() as (_, upstash), Redis(upstash.url, upstash.token) as redis:
        counted = {name: count(redis, kind) for name, kind in KINDS.items()}
    rows: list[Row] = [
        {"name": name, "passed": passed, "tests": tests}
        for name, (passed, tests) in counted.items()
    ]
    return [{"title": "LangChain's own cache suites", "columns": COLUMNS, "rows": rows}]
