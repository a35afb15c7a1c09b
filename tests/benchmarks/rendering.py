"""Write the pages and plots from the JSON: ``python -m tests.benchmarks.rendering``."""

from pathlib import Path

from tests.benchmarks import page, plots, results

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs/performance.md", ROOT / "README.md")


def render(found: results.Results, names: list[str]) -> None:
    plots.draw(found, names)
    for file in PAGES:
        file.write_text(page.filled(file.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    measured = results.load()
    render(measured, list(measured["parts"]))
