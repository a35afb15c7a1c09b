"""The tables of docs/performance.md and of the README, written between markers."""

from collections.abc import Iterator
from typing import Any

from tests.benchmarks import costs
from tests.benchmarks.parts import PARTS
from tests.benchmarks.results import Results
from tests.benchmarks.tables import Table

FIGURES = (
    ("hits", 0, "this library", "cpu_ratio", "a hit, 500 bytes: CPU"),
    ("hits", 0, "this library", "wall_ratio", "a hit, 500 bytes: time"),
    ("hits", 1, "this library", "cpu_ratio", "a miss: CPU"),
    ("async", 0, "this library, 64 at once", "wall_ratio", "64 asynchronous hits at once: time"),
    ("stores", 0, "this library, after a miss", "wall_ratio", "a store: time"),
    ("cold", 0, "ask, secrets in SSM", "cpu_ratio", "a cold hit on `ask`: CPU"),
)
"""The rows of the README's table: part, table, row, column and what it is."""


def filled(page: str, results: Results) -> str:
    """Return a page with the text between its markers written anew from the results.

    A marker is a comment such as ``<!-- part hits -->``; ``<!-- end -->`` ends its text. The text
    of a part that was never measured stays.
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
    if all(name in results["parts"] for name, *_ in FIGURES):
        texts["<!-- figures -->"] = figures(results)
    return texts


def machine(results: Results) -> str:
    """Return the machine and the versions as a list."""
    machine = "; ".join(f"{name}: {value}" for name, value in results["machine"].items())
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    return f"- Machine: {machine}\n- Versions: {versions}"


def part(name: str, results: Results) -> str:
    """Return the plot and the tables of a part."""
    measured = results["parts"][name]
    tables: list[Table] = measured["tables"]
    short = ", in a short run" if measured["short"] else ""
    elsewhere = measured["machine"] if measured["machine"] != results["machine"] else {}
    where = f", on another machine ({', '.join(elsewhere.values())})" if elsewhere else ""
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
    """Return a value for a reader; a spread as its median and its quartiles."""
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
    """Return three digits of a number, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def figures(results: Results) -> str:
    """Return the README's table."""
    lines = ["| | ratio | to |", "|---|---|---|"]
    for name, index, wanted, key, what in FIGURES:
        rows = results["parts"][name]["tables"][index]["rows"]
        row = next(row for row in rows if row["name"] == wanted)
        lines.append(f"| {what} | {number(row[key])} | {row['of']} |")
    return "\n".join(lines)
