"""The OpenAPI description of the function."""

from __future__ import annotations

from functools import cache
from typing import Any

import llm_cache
from identity import Sharing, sharing
from question import question

REF = "#/components/schemas/"
# As AWS describes it: the caller signs each request with SigV4.
SIGV4 = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "x-amazon-apigateway-authtype": "awsSigv4",
}

SIGNED: dict[str, Any] = {"sigv4": []}
UNSIGNED: dict[str, Any] = {}  # where the front lets anybody through, and the function does


@cache
def description(prefix: str) -> dict[str, Any]:
    """Describe the requests by what checks them; ``prefix`` is what precedes each path."""
    schemas = {"Question": _question(), "Answer": ANSWER, "Problem": PROBLEM}
    return {
        "openapi": "3.1.0",
        "info": {"title": "ask", "version": llm_cache.__version__},
        "servers": [{"url": prefix or "/"}],
        "security": [SIGNED] if sharing() is not Sharing.ALL else [SIGNED, UNSIGNED],
        "paths": {
            "/ask": {"post": _ask()},
            "/health": {"get": _get("health", "Tell that the function runs.")},
            "/openapi.json": {"get": _get("openapi", "Return this description.")},
        },
        "components": {"schemas": schemas, "securitySchemes": {"sigv4": SIGV4}},
    }


def _question() -> dict[str, Any]:
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415  nothing else needs it

    described = GenerateJsonSchema().generate(question())
    (turns,) = (one for one in described["properties"]["messages"]["anyOf"] if "items" in one)
    fields = {**turns["items"]["properties"], "role": {"const": "user"}}
    turns["prefixItems"] = [{**turns["items"], "properties": fields}]  # the user begins
    return described


def _get(operation: str, summary: str) -> dict[str, Any]:
    responses = {"200": _json(summary, {"type": "object"})}
    security = [SIGNED, UNSIGNED]
    return {
        "operationId": operation,
        "summary": summary,
        "security": security,
        "responses": responses,
    }


def _ask() -> dict[str, Any]:
    problems = {str(status): _json(why, {"$ref": f"{REF}Problem"}) for status, why in WHY.items()}
    problems["503"]["headers"] = {"Retry-After": _text("Seconds, where the model says.")}
    answered = {
        "200": {
            "description": "The answer, and what the cache did.",
            "headers": {name: _text(what) for name, what in TOLD.items()},
            "content": {"application/json": {"schema": {"$ref": f"{REF}Answer"}}},
        },
        "304": {"description": "The caller has this answer: If-None-Match names its ETag."},
    }
    return {
        "operationId": "ask",
        "summary": "Ask a question.",
        "parameters": [
            {"name": name, "in": "header", "required": False, **_text(what)}
            for name, what in TAKEN.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"{REF}Question"}}},
        },
        "responses": {**answered, **problems},
    }


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


TAKEN = {
    "Cache-Control": "What the caller accepts: RFC 9111's request directives, and stale-if-error.",
    "If-None-Match": "ETags of answers that the caller has.",
}
TOLD = {
    "Cache-Status": "What the cache did (RFC 9211).",
    "Age": "Seconds since the answer was computed.",
    "ETag": "Names this answer; it is weak, because the other fields change.",
}
WHY = {
    400: "The request cannot be read: its path, method or body.",
    403: "The caller is not known: AWS names nobody in the request.",
    413: "The body is too large.",
    415: "The body is compressed, or not UTF-8.",
    422: "The body, or a header, is not as described; or the model refused the parameters.",
    500: "The function cannot call its model as the operator has set it.",
    502: "The model returned no text, or the function failed.",
    503: "The model takes no more requests now; Retry-After says when, if it said so.",
    504: "The model was too slow, or only-if-cached found nothing.",
}
COUNT = {"type": "integer", "minimum": 0}
KNOWN = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
ANSWER = {
    "type": "object",
    "required": ["answer", "stop_reason", "cache", "usage"],
    "properties": {
        "answer": {"type": "string"},
        "stop_reason": {**TEXT, "description": "Why the model stopped, in the provider's words."},
        "cache": {
            "type": "object",
            "required": ["status", "stored", "why", "age", "ttl", "key"],
            "properties": {
                "status": {"type": "string"},
                "stored": {"type": "boolean", "description": "The answer is in the cache."},
                "why": {**TEXT, "description": "Why it is not, else why it was a miss."},
                "age": KNOWN,
                "ttl": KNOWN,
                "key": TEXT,
            },
        },
        "usage": {
            "type": "object",
            "properties": {
                "input_tokens": COUNT,
                "output_tokens": COUNT,
                "saved_tokens": COUNT,
            },
        },
    },
}
PROBLEM = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "field": {"type": "string"},
                "stop_reason": TEXT,
                "usage": {
                    "type": "object",
                    "properties": {"input_tokens": COUNT, "output_tokens": COUNT},
                },
            },
        }
    },
}
