"""The Lambda handler of ``ask``: it takes every front's request and direct invocations."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from mangum import Mangum

from direct import Direct
from llm_cache import traced
from routes import app

logger = Logger()
http = Mangum(app, lifespan="off", custom_handlers=[Direct])
CORRELATION_ID = (
    "requestContext.requestId || "
    'headers."x-amzn-trace-id" || multiValueHeaders."x-amzn-trace-id"[0]'  # of a load balancer
)


@traced
@logger.inject_lambda_context(correlation_id_path=CORRELATION_ID)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a request or a direct invocation."""
    return http(event, context)
