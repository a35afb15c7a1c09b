"""The request of a call, with the protection of its cache."""

from typing import Any

from llm_cache._engine.cache_call import CacheCall
from llm_cache._protocol.request import Request


def protected_request(call: CacheCall[Any]) -> Request[Any]:
    return call.protect(call.identify())
