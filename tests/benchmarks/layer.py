"""What the layer and the functions weigh, beside the package of the replaced class."""

from pathlib import Path

from layers.package import budgets
from tests.benchmarks.packaged import replaced_package
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
    """Weigh each package; a short run is no shorter."""
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
    note = f"{HOST}. The replaced class is packaged without bytecode; the layer holds bytecode. \
Peak memory stands with the cold starts."
    return [
        {"title": "Packages", "columns": COLUMNS, "rows": rows, "plot": "unzipped", "note": note}
    ]


def _row(name: str, folder: Path) -> Row:
    unzipped, zipped = budgets.weigh(folder)
    return {"name": name, "unzipped": unzipped / MEGA, "zipped": zipped / MEGA}
