"""The price of Upstash, pay as you go, for a million calls."""

from tests.benchmarks.tables import Row, Table

DOLLARS, COMMANDS = 0.20, 100_000  # https://upstash.com/pricing
HIT, MISS = 1, 2  # commands: a lookup; a lookup and a store
CALLS = 1_000_000
RATES = (0, 25, 50, 75, 90, 99, 100)  # per cent
COLUMNS = {
    "name": "hit rate, %",
    "commands": "commands",
    "dollars": "dollars of Upstash",
    "replaced_commands": "commands of the replaced class",
    "replaced": "dollars of Upstash, replaced class",
}
REPLACED_MISS = 3  # a lookup, HSET and EXPIRE


def commands(rate: float, miss: int = MISS) -> int:
    """Return the commands of CALLS calls, ``rate`` per cent of them hits."""
    hits = round(CALLS * rate / 100)
    return hits * HIT + (CALLS - hits) * miss


def dollars(number: int) -> float:
    return round(number / COMMANDS * DOLLARS, 2)


def table() -> Table:
    rows: list[Row] = []
    for rate in RATES:
        ours, theirs = commands(rate), commands(rate, REPLACED_MISS)
        rows.append(
            {
                "name": rate,
                "commands": ours,
                "dollars": f"{dollars(ours):.2f}",
                "replaced_commands": theirs,
                "replaced": f"{dollars(theirs):.2f}",
            }
        )
    return {"title": "", "columns": COLUMNS, "rows": rows}
