"""The cost of a cold start, without and with AWS's runtime client."""

from layers.package import budgets
from tests.benchmarks import cold_deployed, cold_direct
from tests.benchmarks.cold_direct import Side
from tests.benchmarks.cold_environment import environment
from tests.benchmarks.tables import COLD, Row, Table, ratio, spread
from tests.layer.artifacts import HOST

ROUNDS, DEPLOYED_ROUNDS = 9, 5
BUDGETS = {
    "ask, secrets in the environment": budgets.COLD_HIT_ENVIRON,
    "ask, secrets in SSM": budgets.COLD_HIT,
}
COLUMNS = {"name": "function", **COLD, "budget": "budget (CPU)"}
TRUST = "This library reads certificates from a hashed directory (SSL_CERT_DIR), as a deployed \
function does. The replaced class loads one file, its default. Both contain certifi's certificates \
and the test authority."


def measure(*, short: bool) -> list[Table]:
    """Return both tables; all connections to Upstash and SSM go over TLS."""
    with environment() as found:
        pairs = cold_direct.run(found, 1 if short else ROUNDS)
        deployed = cold_deployed.run(found, 1 if short else DEPLOYED_ROUNDS)
    note = f"{HOST}, AWS's own runtime client, secrets in SSM. {TRUST}"
    return [
        {
            "title": "A cold hit of `ask`, from process start to reply",
            "columns": COLUMNS,
            "rows": [row for pair in pairs for row in _rows(*pair)],
            "plot": "cpu",
            "note": f"{HOST}, no runtime client. {TRUST}",
        },
        {
            "title": "Cold starts as deployed",
            "columns": cold_deployed.COLUMNS,
            "rows": cold_deployed.rows(deployed),
            "note": note,
        },
    ]


def ratios(rounds: int = 5) -> dict[str, float]:
    """Return the CPU ratio of each ``ask`` to the replaced class, without the runtime client."""
    with environment() as found:
        pairs = cold_direct.run(found, rounds)
    return {ours.name: ratio(ours.seconds[0], theirs.seconds[0]) for theirs, ours in pairs}


def _rows(theirs: Side, ours: Side) -> list[Row]:
    rows: list[Row] = []
    for side in (theirs, ours):
        cpu, wall = (spread([one * 1000 for one in times[1:]]) for times in (side.cpu, side.wall))
        row: Row = {"name": side.name, "cpu": cpu, "wall": wall, "peak": max(side.peaks[1:]) / 1e6}
        if side is ours:
            of_cpu, of_wall = theirs.seconds
            row["cpu_ratio"] = ratio(ours.seconds[0], of_cpu)
            row["wall_ratio"] = ratio(ours.seconds[1], of_wall)
            row |= {"of": theirs.name, "budget": BUDGETS[ours.name]}
        rows.append(row)
    return rows
