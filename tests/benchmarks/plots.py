"""Bar plots as SVG, readable on light and dark pages."""

from typing import Any
from xml.sax.saxutils import escape

from tests.benchmarks.page import number
from tests.benchmarks.results import DOCS, Results
from tests.benchmarks.tables import Row, Table

WIDTH, LEFT, RIGHT = 760, 300, 90
ROW, BAR, TOP = 22, 14, 34
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 13px }
.bar { fill: #8c959f } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #58a6ff }
}
"""
OURS = ("this library", "ask", "clear", "fleet", "process", "flush", "the layer", "the cache")


def draw(results: Results, names: list[str]) -> None:
    """Write a plot for the first table of each part that names a column to plot."""
    for name in names:
        tables: list[Table] = results["parts"][name]["tables"]
        if drawn := next((table for table in tables if table.get("plot")), None):
            (DOCS / f"performance-{name}.svg").write_text(plot(drawn), encoding="utf-8")


def plot(table: Table) -> str:
    """Return the bars of one column; this library's bars are coloured."""
    key = table["plot"]
    rows = [row for row in table["rows"] if key in row]
    most = max(value(row, key) for row in rows)
    height = TOP + ROW * len(rows) + 8
    heading = escape(f"{table['title']}: {table['columns'][key]}".replace("`", ""))
    bars = "".join(_bar(row, key, most, place) for place, row in enumerate(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{heading}">\n'
        f"<style>{STYLE}</style>\n"
        f'<text class="title" x="8" y="20">{heading}</text>\n{bars}</svg>\n'
    )


def _bar(row: Row, key: str, most: float, place: int) -> str:
    top, name, size = TOP + ROW * place, str(row["name"]), value(row, key)
    length = max(1.0, (WIDTH - LEFT - RIGHT) * size / (most or 1))
    kind = "bar ours" if name.startswith(OURS) else "bar"
    return (
        f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>\n'
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>\n'
        f'<text x="{LEFT + length + 6:.1f}" y="{top + 12}">{number(size)}</text>\n'
    )


def value(row: Row, key: str) -> float:
    found: Any = row[key]
    return float(found["median"] if isinstance(found, dict) else found)
