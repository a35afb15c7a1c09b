"""`ask` as it is written on the class that this library replaces: a handler, and nothing else.

Neither web framework, logger, metrics nor tenants, all of which `ask` has: what it does not import
it does not pay for. The class stores no chat answers, so the model is one that completes text.
"""

import base64
import json
import os
from typing import Any

from langchain_aws import BedrockLLM
from langchain_community.cache import UpstashRedisCache
from langchain_core.globals import set_llm_cache
from upstash_redis import Redis

set_llm_cache(UpstashRedisCache(Redis.from_env(), ttl=600))
model = BedrockLLM(model=os.environ["REPLACED_MODEL_ID"])


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Answer the question of a Function URL's event."""
    question = json.loads(base64.b64decode(event["body"]))["question"]
    return {"statusCode": 200, "body": json.dumps({"answer": model.invoke(question)})}
