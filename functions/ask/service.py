"""What the function says of itself: that it runs, and what it takes and returns."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

import llm_cache
from question import question

REF = "#/components/schemas/"


async def health(_: Request) -> JSONResponse:
    """Say that the function runs; touches neither the cache nor the model."""
    return JSONResponse({"status": "ok"})


async def openapi(_: Request) -> JSONResponse:
    """Return the OpenAPI description of the function."""
    return JSONResponse(description())


@cache
def description() -> dict[str, Any]:
    """Describe the requests by what checks them."""
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415  nobody else needs it

    asked = GenerateJsonSchema().generate(question())
    schemas = {"Question": asked, "Answer": ANSWER, "Problem": PROBLEM}
    return {
        "openapi": "3.1.0",
        "info": {"title": "ask", "version": llm_cache.__version__},
        "paths": {
            "/ask": {"post": _ask()},
            "/health": {"get": {"responses": {"200": _json("It runs.", {"type": "object"})}}},
            "/openapi.json": {"get": {"responses": {"200": _json("This.", {"type": "object"})}}},
        },
        "components": {"schemas": schemas},
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
        "400": {"description": "Of the front, not the function: no HTTP that can be read."},
    }
    return {
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
    "ETag": "Names this answer.",
}
WHY = {
    403: "Who asks is not known: AWS names nobody in the request.",
    413: "The body is too large.",
    422: "The body, or a header, is not as described.",
    500: "Something unexpected.",
    502: "The model failed, refused the request, or returned no text.",
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
                "why": {**TEXT, "description": "Why it is not."},
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
