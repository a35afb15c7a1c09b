"""The output of the benchmarks: tables, pages, plots and the README's figures."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.benchmarks import costs, page, plots, results
from tests.benchmarks.parts import PARTS, UnknownPart, chosen
from tests.benchmarks.tables import TIMED, Row, Table, ratio, spread

ROOT = Path(__file__).parents[2]
RESULTS = results.load()


def sample(name: str) -> Table:
    timed = {"cpu": spread([598.0, 580.0, 640.0]), "wall": spread([1200.0, 1100.0])}
    ratios = {"cpu_ratio": 1.25, "wall_ratio": 0.5, "of": "bare GET"}
    rows: list[Row] = [
        {"name": "bare GET", **timed},
        {"name": f"this library <{name}>", **timed, **ratios},
    ]
    return {"title": f"Of {name}", "columns": TIMED, "rows": rows, "plot": "cpu", "note": "A note."}


def sampled(*names: str) -> results.Results:
    machine = {"CPU": "a CPU", "cores": "2"}
    part = {"date": "2026-11-27", "short": False, "machine": machine}
    parts = {name: {**part, "tables": [sample(name)]} for name in names}
    return {"machine": machine, "versions": {"redis": "8"}, "parts": parts}


@pytest.mark.parametrize("name", PARTS)
def test_tables_of_a_part_are_written_between_its_markers(name: str) -> None:
    before = f"# Page\n\n<!-- part {name} -->\nstale\n<!-- end -->\n\nAfter.\n"

    after = page.filled(before, sampled(name))

    assert "| operation | CPU, µs | time, µs | CPU, ratio | time, ratio | ratio to |" in after
    assert "598 (589 to 619)" in after
    assert "| 1.25 | 0.500 | bare GET |" in after
    assert f"performance-{name}.svg" in after
    assert "stale" not in after
    assert after.startswith(f"# Page\n\n<!-- part {name} -->\n")
    assert after.endswith("<!-- end -->\n\nAfter.\n")


def test_part_without_results_keeps_its_text() -> None:
    before = "<!-- part hits -->\nstale\n<!-- end -->\n<!-- part cold -->\nstale\n<!-- end -->\n"

    after = page.filled(before, sampled("hits"))

    assert after.count("stale") == 1
    assert after.endswith("<!-- part cold -->\nstale\n<!-- end -->\n")


def test_part_measured_on_another_machine_names_it() -> None:
    found = sampled("hits")
    found["machine"] = {"CPU": "a newer CPU"}
    assert "on another machine (a CPU, 2)" in page.part("hits", found)


def test_page_has_a_marker_for_every_part() -> None:
    text = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert [name for name in PARTS if f"<!-- part {name} -->\n" not in text] == []


@pytest.mark.parametrize("name", ["docs/performance.md", "README.md"])
def test_figures_on_a_page_equal_the_json(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert page.filled(text, RESULTS) == text


def test_json_has_every_part_and_the_machine() -> None:
    assert list(RESULTS["parts"]) == list(PARTS)
    assert RESULTS["machine"].keys() >= {"CPU", "cores", "OS", "Python"}
    assert RESULTS["versions"].keys() >= {"langchain-redis", "litellm", "langchain-community"}


def test_plot_is_svg_with_one_bar_per_row() -> None:
    root = ET.fromstring(plots.plot(sample("hits")))
    bars = [one for one in root.iter() if one.tag.endswith("rect")]
    assert [bar.get("class") for bar in bars] == ["bar", "bar ours"]


def test_chosen_parts_keep_their_order() -> None:
    assert chosen("cold, hits") == ["hits", "cold"]
    assert chosen("") == list(PARTS)


def test_unknown_part_is_refused_with_the_names_of_all_parts() -> None:
    with pytest.raises(UnknownPart, match=r"hist.*hits, sizes, async.*suites"):
        chosen("hist")


def test_unknown_part_ends_the_command_without_a_traceback() -> None:
    environ = {**os.environ, "ONLY": "hist"}
    command = [sys.executable, "-m", "tests.benchmarks"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no part is called hist" in done.stderr
    assert "Traceback" not in done.stderr


def test_budgets_in_the_tables_come_from_the_layer() -> None:
    script = """
from layers.package import budgets
budgets.COLD_HIT, budgets.COLD_HIT_ENVIRON, budgets.ASK_IMPORT, budgets.FLUSH_IMPORT = 1, 2, 3, 4
from tests.benchmarks import cold_starts, imports
print(sorted([*cold_starts.BUDGETS.values(), *imports.BUDGETS.values()]))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1, 2, 3, 4]"


def test_hit_costs_one_command_and_a_miss_two() -> None:
    assert costs.commands(100) == costs.CALLS
    assert costs.commands(0) == 2 * costs.CALLS
    assert costs.dollars(costs.commands(90)) == 2.20


def test_ratio_compares_the_medians() -> None:
    assert ratio(spread([1.0, 2.0, 9.0]), spread([4.0])) == 0.5
    assert spread([1.0], 1000) == {"q1": 1000, "median": 1000, "q3": 1000}
