"""`ask` on the class that this library replaces: only a handler.

It has neither web framework, logger, metrics nor tenants, so it imports less than `ask`. The class
stores no chat answers, so the model completes text. The secrets are in the environment, or in SSM
if the environment names their parameters.
"""

import base64
import json
import os
from typing import Any

import boto3
from langchain_aws import BedrockLLM
from langchain_community.cache import UpstashRedisCache
from langchain_core.globals import set_llm_cache
from upstash_redis import Redis


def connected() -> Redis:
    if not (name := os.environ.get("LLM_CACHE_URL_PARAMETER")):
        client: Redis = Redis.from_env()
        return client
    names = [name, os.environ["LLM_CACHE_TOKEN_PARAMETER"]]
    found = boto3.client("ssm").get_parameters(Names=names, WithDecryption=True)["Parameters"]
    values = {one["Name"]: one["Value"] for one in found}
    url, token = (values[name] for name in names)
    return Redis(url, token)


set_llm_cache(UpstashRedisCache(connected(), ttl=600))
model = BedrockLLM(model=os.environ["REPLACED_MODEL_ID"])


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    question = json.loads(base64.b64decode(event["body"]))["question"]
    return {"statusCode": 200, "body": json.dumps({"answer": model.invoke(question)})}
