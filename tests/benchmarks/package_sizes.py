"""The sizes of the layer, the functions and the replaced class's package."""

from pathlib import Path

from layers.package import budgets
from tests.benchmarks.cold_environment import replaced_package
from tests.benchmarks.tables import Row, Table
from tests.layer.artifacts import HOST, build

MEGA = 1e6
COLUMNS = {
    "name": "package",
    "unzipped": "unzipped, MB",
    "zipped": "zipped, MB",
    "unzipped_budget": "budget, MB",
    "zipped_budget": "budget zipped, MB",
}


def measure(*, short: bool) -> list[Table]:
    """Measure each package; a short run is the same."""
    built = build(HOST)
    rows = [
        _row("the layer", built.layer)
        | {
            "unzipped_budget": budgets.UNZIPPED / MEGA,
            "zipped_budget": budgets.ZIPPED / MEGA,
        }
    ]
    rows += [_row(folder.name, folder) for folder in built.packages[1:]]
    rows.append(_row("replaced class with langchain-aws", replaced_package()))
    note = f"{HOST}. The layer contains bytecode, the replaced class's package none. The cold \
starts show the peak memory."
    return [
        {"title": "Packages", "columns": COLUMNS, "rows": rows, "plot": "unzipped", "note": note}
    ]


def _row(name: str, folder: Path) -> Row:
    unzipped, zipped = budgets.weigh(folder)
    return {"name": name, "unzipped": unzipped / MEGA, "zipped": zipped / MEGA}
