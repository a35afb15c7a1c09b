"""Write the tables of docs/performance.md and the README between their markers."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.benchmarks import costs
from tests.benchmarks.parts import PARTS
from tests.benchmarks.results import Results
from tests.benchmarks.tables import Table


class Figure(NamedTuple):
    """A value of the JSON, multiplied by ``scale``; ``unit`` follows it."""

    part: str
    table: int
    row: str
    column: str
    unit: str = ""
    scale: float = 1


HANGS, MILLION = "Upstash hangs", "clear, 1,000,000 entries"
OURS, THEIRS = "this library", "replaced class"
FIGURES: dict[str, tuple[Figure, Figure | str]] = {
    "LangChain's own cache tests that pass, of 16": (
        Figure("suites", 0, OURS, "passed"),
        Figure("suites", 0, THEIRS, "passed"),
    ),
    "a lookup while Upstash hangs": (
        Figure("faults", 0, HANGS, "wall", " s, then a miss", 1e-6),
        Figure("faults", 1, HANGS, "outcome"),
    ),
    "a hit, 500 bytes": (
        Figure("hits", 0, OURS, "wall", " ms", 1e-3),
        Figure("hits", 0, THEIRS, "wall", " ms", 1e-3),
    ),
    "a store, 500 bytes": (
        Figure("stores", 0, "this library, after a miss", "wall", " ms", 1e-3),
        Figure("stores", 0, THEIRS, "wall", " ms", 1e-3),
    ),
    "CPU of a cold hit on `ask`, secrets in SSM": (
        Figure("cold", 0, "ask, secrets in SSM", "cpu", " ms"),
        Figure("cold", 0, "replaced class, secrets in SSM", "cpu", " ms"),
    ),
    "model calls for 200 equal requests at once": (
        Figure("stampede", 0, "fleet", "calls"),
        Figure("stampede", 0, "off", "calls", ", without single flight"),
    ),
    "a clear of 1,000,000 entries": (
        Figure("clear", 0, MILLION, "wall", " ms", 1e-3),
        "flushes the whole database",
    ),
}
"""The rows of the README's table: this library, and the replaced class."""


def filled(page: str, results: Results) -> str:
    """Return a page with the results between its markers.

    A marker is a comment such as ``<!-- part hits -->``; ``<!-- end -->`` ends its text. The text
    of a part without results stays.
    """
    texts = blocks(results)
    lines = iter(page.splitlines())
    return "".join(f"{line}\n" for line in _written(lines, texts))


def _written(lines: Iterator[str], texts: dict[str, str]) -> Iterator[str]:
    for line in lines:
        yield line
        text = texts.get(line)
        if text is not None:
            yield from ["", *text.splitlines(), ""]
            yield next(line for line in lines if line == "<!-- end -->")


def blocks(results: Results) -> dict[str, str]:
    """Map each marker to its text."""
    texts = {f"<!-- part {name} -->": part(name, results) for name in results["parts"]}
    texts["<!-- cost -->"] = rendered(costs.table())
    if results["machine"]:
        texts["<!-- machine -->"] = machine(results)
    if all(part in results["parts"] for part in PARTS):
        texts["<!-- figures -->"] = figures(results)
    return texts


def machine(results: Results) -> str:
    machine = "; ".join(f"{name}: {value}" for name, value in results["machine"].items())
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    return f"- Machine: {machine}\n- Versions: {versions}"


def part(name: str, results: Results) -> str:
    measured = results["parts"][name]
    tables: list[Table] = measured["tables"]
    short = ", in a short run" if measured["short"] else ""
    other = measured["machine"] if measured["machine"] != results["machine"] else {}
    where = f", on another machine ({', '.join(other.values())})" if other else ""
    texts = [f"Measured on {measured['date']}{short}{where}."]
    if any(table.get("plot") for table in tables):
        texts.append(f"![{PARTS[name].heading}](performance-{name}.svg)")
    for table in tables:
        texts += [f"**{table['title']}**", rendered(table), table.get("note", "")]
    return "\n\n".join(text for text in texts if text)


def rendered(table: Table) -> str:
    """Return a table in Markdown; a column in which no row has a value is left out."""
    columns = {
        key: heading
        for key, heading in table["columns"].items()
        if any(key in row for row in table["rows"])
    }
    lines = ["| " + " | ".join(columns.values()) + " |", "|---" * len(columns) + "|"]
    lines += [
        "| " + " | ".join(cell(row.get(key)) for key in columns) + " |" for row in table["rows"]
    ]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """Return a value as text: a spread as its median and quartiles."""
    match value:
        case None:
            return ""
        case dict():
            middle, low, high = (cell(value[name]) for name in ("median", "q1", "q3"))
            return middle if low == high else f"{middle} ({low} to {high})"
        case float():
            return number(value)
        case int():
            return f"{value:,}"
    return str(value)


def number(value: float) -> str:
    """Return a number with three digits and without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def figures(results: Results) -> str:
    lines = [f"| | {OURS} | {THEIRS} |", "|---|---|---|"]
    for what, figures_of_row in FIGURES.items():
        lines.append(f"| {what} | {' | '.join(figure(it, results) for it in figures_of_row)} |")
    return "\n".join(lines)


def figure(wanted: Figure | str, results: Results) -> str:
    if isinstance(wanted, str):
        return wanted
    rows = results["parts"][wanted.part]["tables"][wanted.table]["rows"]
    value = next(row for row in rows if row["name"] == wanted.row)[wanted.column]
    if isinstance(value, dict):
        value = value["median"]
    return cell(value if wanted.scale == 1 else value * wanted.scale) + wanted.unit
