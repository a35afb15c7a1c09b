"""A retry gets the answer of its first try: the header ``Idempotency-Key``.

As draft-ietf-httpapi-idempotency-key-header-07 has it, but that a retry which comes while the first
try is under way waits for it, where the draft has it refused (409). What failed is tried again.
"""

from __future__ import annotations

import asyncio
import re
from contextvars import copy_context
from hashlib import sha256

from starlette.requests import Request

from answering import Answered, Asked, answer_in_time, metrics, responses
from llm_cache import CachePolicy
from problems import Problem, invalid

HEADER = "Idempotency-Key"
KEY = "[!-~]([ -~]{0,253}[!-~])?"  # characters of ASCII; spaces at its ends would not arrive
KEPT = 86_400.0  # seconds; the operator's ceiling may be lower


async def once(request: Request, asked: Asked) -> Answered:
    """Answer what is asked, but where the request repeats another, with that one's answer.

    That one had the same key, body and tenant, in the last day, and whatever it accepted of the
    cache. A key costs three commands, to a retry one. A clear reaches what is kept for retries.
    """
    key = ",".join(request.headers.getlist(HEADER)) if HEADER in request.headers else None
    if key is None:
        return await answer_in_time(asked)
    _check(key, asked.policy)
    body = sha256(await request.body()).hexdigest()
    kept = await _kept(key, body, asked)
    if kept.response["body"] != body:  # section 2.7
        raise Problem(422, "key_reused", "another request had this key", field=HEADER)
    return kept


async def _kept(key: str, body: str, asked: Asked) -> Answered:
    outside = copy_context()  # what is asked is asked, and counted, as without a key
    tenant, tags = asked.policy.tenant, asked.policy.tags
    policy = CachePolicy(ttl=KEPT, coalesce="fleet", tenant=tenant, tags=tags)
    named = {"idempotency_key": key}  # no question reads so
    with responses().policy(policy, context=asked.context) as report:
        if (found := await responses().alookup(named)) is None:
            asking = asyncio.create_task(answer_in_time(asked), context=outside)
            answered = await asking
            kept = {**answered.response, "body": body}
            await responses().aupdate(named, kept)
            return Answered(kept, answered.report)
    metrics.write(report)
    return Answered(found, report)


def _check(key: str, policy: CachePolicy) -> None:
    if not re.fullmatch(KEY, key):
        raise invalid(HEADER, "a key is 1 to 255 printable characters of ASCII")
    if not policy.effective_mode.stores or policy.ttl == 0:
        raise invalid(HEADER, "a retry is answered from what is stored, and nothing may be here")
