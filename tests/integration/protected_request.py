"""The request of a call, with the protection of its cache."""

from typing import Any

from llm_cache._engine.call import Call
from llm_cache._protocol.request import Request


def protected_request(call: Call[Any]) -> Request[Any]:
    return call.protect(call.identify())
