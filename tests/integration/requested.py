"""The request of a call, as the engine makes it."""

from typing import Any

from llm_cache._engine.call import Call
from llm_cache._protocol.request import Request


def requested(call: Call[Any]) -> Request[Any]:
    return call.protect(call.identify())
