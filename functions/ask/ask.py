"""The Lambda handler of ``ask``."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from front import reply
from llm_cache import traced

logger = Logger()
CORRELATION_ID = (
    "requestContext.requestId || "
    'headers."x-amzn-trace-id" || multiValueHeaders."x-amzn-trace-id"[0]'  # of a load balancer
)


@traced
@logger.inject_lambda_context(correlation_id_path=CORRELATION_ID)
def handler(event: Any, context: Any) -> dict[str, Any]:
    """Reply to a request or a direct invocation; raise only an unexpected error."""
    return reply(event, context)
