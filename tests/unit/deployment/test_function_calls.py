"""Calls of the deployed flush function."""

import io
import json
from typing import Any

import pytest

from deployment.function_calls import flush, with_outputs
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import DeployedStack

STACK = DeployedStack("shop", {}, {"FlushFunctionName": "shop-flush"})


class Lambda:
    """Replies to invocations as boto3 does, and records them."""

    def __init__(self, *replies: dict[str, Any], error: str | None = None) -> None:
        self.replies, self.error, self.sent = list(replies), error, list[Any]()

    def invoke(self, **request: Any) -> dict[str, Any]:
        assert (request["FunctionName"], request["Qualifier"]) == ("shop-flush", "live")
        self.sent.append(json.loads(request["Payload"]))
        body = io.BytesIO(json.dumps(self.replies.pop(0)).encode())
        return {"Payload": body} | ({"FunctionError": self.error} if self.error else {})


def test_incomplete_flush_continues_at_its_cursor() -> None:
    client = Lambda({"complete": False, "cursor": "7"}, {"complete": True, "cursor": "0"})
    assert [done["complete"] for done in flush(client, STACK, {"tag": "red"})] == [False, True]
    assert client.sent == [{"tag": "red"}, {"tag": "red", "cursor": "7"}]


def test_failed_flush_raises_the_error_of_the_function() -> None:
    client = Lambda({"errorMessage": "Upstash refused"}, error="Unhandled")
    with pytest.raises(CommandFailure, match="the flush failed: Upstash refused"):
        list(flush(client, STACK, {}))


def test_names_of_outputs_in_an_event_are_replaced_and_others_stay() -> None:
    event = '{"bucket": "${Bucket}", "text": "${Nothing} costs $5"}'
    filled = with_outputs(event, {"Bucket": "shop-documents"})
    assert filled == '{"bucket": "shop-documents", "text": "${Nothing} costs $5"}'
