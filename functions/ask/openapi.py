"""The OpenAPI description of the function."""

from __future__ import annotations

from functools import cache
from typing import Any

import llm_cache
from ask_request import body_schema
from identity import Sharing, sharing

REF = "#/components/schemas/"
# AWS's own description of a SigV4 signature
SIGV4 = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "x-amazon-apigateway-authtype": "awsSigv4",
}

SIGNED: dict[str, Any] = {"sigv4": []}
UNSIGNED: dict[str, Any] = {}


@cache
def description(prefix: str) -> dict[str, Any]:
    """Return the description; it is made of the schemas that check requests.

    ``prefix``: the path that precedes each route.
    """
    schemas = {"Question": _question_schema(), "Answer": ANSWER, "Problem": PROBLEM}
    return {
        "openapi": "3.1.0",
        "info": {"title": "ask", "version": llm_cache.__version__},
        "servers": [{"url": prefix or "/"}],
        "security": [SIGNED] if sharing() is not Sharing.ALL else [SIGNED, UNSIGNED],
        "paths": {
            "/ask": {"post": _ask()},
            "/health": {"get": _get("health", "Confirm that the function runs.")},
            "/openapi.json": {"get": _get("openapi", "Return this description.")},
        },
        "components": {"schemas": schemas, "securitySchemes": {"sigv4": SIGV4}},
    }


def _question_schema() -> dict[str, Any]:
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415  only this route needs it

    described = GenerateJsonSchema().generate(body_schema())
    (turns,) = (one for one in described["properties"]["messages"]["anyOf"] if "items" in one)
    fields = {**turns["items"]["properties"], "role": {"const": "user"}}
    turns["prefixItems"] = [{**turns["items"], "properties": fields}]  # the first is of the user
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
    problems = {
        str(status): _json(why, {"$ref": f"{REF}Problem"}) for status, why in ERRORS.items()
    }
    problems["503"]["headers"] = {"Retry-After": _text("Seconds, if the model sent them.")}
    answered = {
        "200": {
            "description": "The answer, and what the cache did.",
            "headers": {name: _text(text) for name, text in RESPONSE_HEADERS.items()},
            "content": {"application/json": {"schema": {"$ref": f"{REF}Answer"}}},
        },
        "304": {"description": "If-None-Match names the ETag of this answer."},
    }
    return {
        "operationId": "ask",
        "summary": "Ask a question.",
        "parameters": [
            {"name": name, "in": "header", "required": False, **_text(text)}
            for name, text in REQUEST_HEADERS.items()
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


REQUEST_HEADERS = {
    "Cache-Control": "The request directives of RFC 9111, and stale-if-error.",
    "If-None-Match": "ETags of answers that the caller has.",
}
RESPONSE_HEADERS = {
    "Cache-Status": "What the cache did (RFC 9211).",
    "Age": "Seconds since the answer was computed.",
    "ETag": "Identifies this answer; weak, because other fields change.",
}
ERRORS = {
    400: "The path, method or body cannot be read.",
    403: "AWS does not identify the caller.",
    413: "The body is too large.",
    415: "The body is compressed, or not UTF-8.",
    422: "The body or a header is invalid, or the model refused the parameters.",
    500: "The operator's settings of the model are wrong.",
    502: "The model returned no text, or the function failed.",
    503: "The model is throttled or unavailable.",
    504: "The model was too slow, or only-if-cached found no answer.",
}
COUNT = {"type": "integer", "minimum": 0}
OPTIONAL_COUNT = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
OPTIONAL_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
ANSWER = {
    "type": "object",
    "required": ["answer", "stop_reason", "cache", "usage"],
    "properties": {
        "answer": {"type": "string"},
        "stop_reason": {**OPTIONAL_TEXT, "description": "The provider's stop reason."},
        "cache": {
            "type": "object",
            "required": ["status", "stored", "why", "age", "ttl", "key"],
            "properties": {
                "status": {"type": "string"},
                "stored": {"type": "boolean", "description": "Whether the cache holds the answer."},
                "why": {**OPTIONAL_TEXT, "description": "Why not, else why it was a miss."},
                "age": OPTIONAL_COUNT,
                "ttl": OPTIONAL_COUNT,
                "key": OPTIONAL_TEXT,
            },
        },
        "usage": {
            "type": "object",
            "properties": {"input_tokens": COUNT, "output_tokens": COUNT, "saved_tokens": COUNT},
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
                "stop_reason": OPTIONAL_TEXT,
                "usage": {
                    "type": "object",
                    "properties": {"input_tokens": COUNT, "output_tokens": COUNT},
                },
            },
        }
    },
}
