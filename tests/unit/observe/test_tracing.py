"""Which handlers are traced, and what a trace contains."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_cache import traced
from llm_cache._observe import tracing


class Tracer:
    """Records how Powertools' Tracer is used."""

    def __init__(self, **options: bool) -> None:
        self.options: dict[str, bool] = options
        self.annotations: dict[str, int] = {}

    def capture_lambda_handler(self, handler: Callable[..., Any], **options: bool) -> Any:
        return (handler, options, self.options)

    def put_annotation(self, name: str, value: int) -> None:
        if value < 0:
            raise RuntimeError("no subsegment")
        self.annotations[name] = value


@pytest.fixture(autouse=True)
def _on_lambda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
    monkeypatch.setattr("aws_lambda_powertools.Tracer", Tracer)
    tracing._tracer.cache_clear()
    yield
    tracing._tracer.cache_clear()


def handler(event: object, context: object) -> None:
    """Do nothing."""


def test_traced_handler_records_no_result_no_error_and_patches_nothing() -> None:
    found: Any = traced(handler)
    nothing = {"capture_response": False, "capture_error": False}
    assert found == (handler, nothing, {"auto_patch": False})


@pytest.mark.parametrize("missing", ["LAMBDA_TASK_ROOT", "aws_xray_sdk"])
def test_handler_off_lambda_or_without_the_sdk_stays_unchanged(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing, raising=False)
    monkeypatch.setattr(tracing, "SDK", f"no_{missing}" if missing == tracing.SDK else tracing.SDK)
    assert traced(handler) is handler
    tracing.annotate({"CacheHits": 1})


def test_counts_become_annotations_and_a_missing_subsegment_is_no_error() -> None:
    tracer: Any = tracing._tracer()
    tracing.annotate({"CacheHits": 1, "CacheMisses": 2})
    tracing.annotate({"CacheErrors": -1})
    assert tracer.annotations == {"CacheHits": 1, "CacheMisses": 2}
