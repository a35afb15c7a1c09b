"""The attributes of a policy block on a span of OpenTelemetry."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from llm_cache import CachePolicy, Circuit, Outcome, Reason, Status
from llm_cache._engine.scope import current, entered
from llm_cache._engine.span_attributes import MAX_KEYS
from llm_cache._report import Tokens

HIT = Outcome(status=Status.HIT, key="n:entry:1", tokens=Tokens(12, 3), seconds=0.25)
INPUT = gen_ai_attributes.GEN_AI_USAGE_INPUT_TOKENS
OUTPUT = gen_ai_attributes.GEN_AI_USAGE_OUTPUT_TOKENS
MISSES = [
    Outcome(status=Status.MISS, key=f"n:entry:{number}", why=why, seconds=0.5)
    for number, why in enumerate([Reason.UNKNOWN, Reason.CLEARED, Reason.UNKNOWN])
]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> trace.Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test")


def attributes(exporter: InMemorySpanExporter, name: str) -> Mapping[str, Any]:
    (found,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return found.attributes or {}


def test_span_around_a_block_describes_it(
    exporter: InMemorySpanExporter, tracer: trace.Tracer
) -> None:
    with (
        tracer.start_as_current_span("ask"),
        entered(CachePolicy(), None, lambda: Circuit.OPEN),
    ):
        for outcome in [HIT, *MISSES, Outcome(status=Status.STORED, key="n:entry:0")]:
            current().report.add(outcome)
    assert attributes(exporter, "ask") == {
        "llm_cache.hits": 1,
        "llm_cache.misses": 3,
        "llm_cache.stored": 1,
        "llm_cache.skipped": 0,
        "llm_cache.stale": 0,
        "llm_cache.errors": 0,
        "llm_cache.saved.input_tokens": 12,
        "llm_cache.saved.output_tokens": 3,
        "llm_cache.duration": 1.75,
        "llm_cache.circuit": "open",
        "llm_cache.miss_reasons": ("cleared", "unknown"),
        "llm_cache.keys": ("n:entry:1", "n:entry:0", "n:entry:2"),
    }


def test_span_of_many_lookups_has_a_bounded_list_of_keys(
    exporter: InMemorySpanExporter, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("batch"), entered(CachePolicy(), None) as report:
        report.outcomes += [Outcome(status=Status.HIT, key=f"n:entry:{n}") for n in range(99)]
    assert len(attributes(exporter, "batch")["llm_cache.keys"]) == MAX_KEYS


@pytest.mark.parametrize(
    ("outcomes", "usage"),
    [([HIT], (0, 0)), ([HIT, HIT], (0, 0)), ([HIT, MISSES[0]], None), ([MISSES[0]], None)],
)
def test_usage_of_the_genai_conventions_is_zero_if_all_lookups_are_hits(
    exporter: InMemorySpanExporter,
    tracer: trace.Tracer,
    outcomes: list[Outcome],
    usage: tuple[int, int] | None,
) -> None:
    with tracer.start_as_current_span("ask"), entered(CachePolicy(), None) as report:
        report.outcomes += outcomes
    found = attributes(exporter, "ask")
    names = {name for name in found if name.startswith("gen_ai")}
    assert names == ({INPUT, OUTPUT} if usage else set())
    assert usage is None or (found[INPUT], found[OUTPUT]) == usage


def test_usage_that_the_span_has_already_stays(
    exporter: InMemorySpanExporter, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("ask") as span, entered(CachePolicy(), None) as report:
        span.set_attribute(INPUT, 99)
        report.add(HIT)
    assert attributes(exporter, "ask")[INPUT] == 99


def test_each_span_describes_the_block_inside_it(
    exporter: InMemorySpanExporter, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("outer"), entered(CachePolicy(), None) as outer:
        outer.add(HIT)
        with tracer.start_as_current_span("inner"), entered(CachePolicy(), None) as inner:
            inner.add(HIT)
    assert attributes(exporter, "outer")["llm_cache.hits"] == 2
    assert attributes(exporter, "inner")["llm_cache.hits"] == 1


def fail_after(outcome: Outcome) -> None:
    with entered(CachePolicy(), None) as report:
        report.add(outcome)
        raise ValueError


def test_failed_block_is_described_too(
    exporter: InMemorySpanExporter, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("ask"), suppress(ValueError):
        fail_after(MISSES[0])
    assert attributes(exporter, "ask")["llm_cache.misses"] == 1


def test_block_without_a_lookup_sets_no_attribute(
    exporter: InMemorySpanExporter, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("ask"), entered(CachePolicy(), None):
        pass
    assert attributes(exporter, "ask") == {}


def test_failing_span_does_not_reach_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trace, "get_current_span")
    with entered(CachePolicy(), None) as report:
        report.add(HIT)
    assert report.hits == 1


def test_block_imports_neither_the_api_nor_the_attributes() -> None:
    script = """
import sys
from llm_cache._engine.scope import entered
from llm_cache import CachePolicy, Outcome, Status
with entered(CachePolicy(), None) as report:
    report.add(Outcome(status=Status.HIT, key="k"))
print(*[name for name in sys.modules if "opentelemetry" in name or "span_attributes" in name])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
