"""``make faults``: run every cell of the matrix and write README.md in this folder."""

import sys
from pathlib import Path

from tests.faults.matrix import FAULTS, OPERATIONS, TIMEOUT, run_cell, short_timeouts
from tests.faults.route import hosts

TABLE = Path(__file__).with_name("README.md")
LATE = 0.05  # seconds over the budget
HEAD = f"""\
# Results of each operation under each fault

`make faults` runs each operation into each fault and writes this table of results and seconds.
Each command may take {TIMEOUT} seconds here; a single-flight call of the fleet (`lease`) is two
commands. The client connects by name, over TLS, to a real server, as a Redis user.

- `lookup`, `update`, `lease` (a miss with `coalesce="fleet"` and its update) and `encrypted` (a
  miss and an update of an encrypting cache) raise nothing. The caller keeps an answer that cannot
  be stored.
- `clear`, `delete` and `reclaim` raise. After an error, the command may or may not have run.
- An `a` in front of a name marks the asynchronous operation.
- Afterwards, no key in Redis lacks an expiry, except epochs. A stored answer is still there,
  unless it was deleted or the server lost it. The next lookup and update of the cache succeed.
- Upstash evicts nothing by default. A full database can be read, cleared and reclaimed.

"""


def main() -> int:
    """Return 1 if a cell is not as promised."""
    rows, problems = [], []
    with hosts(1) as (host,), short_timeouts():
        for fault in FAULTS:
            row = [fault]
            for operation in OPERATIONS:
                with host.route() as route:
                    cell = run_cell(fault, operation, route)
                row.append(f"{cell.got} {cell.seconds:.2f}")
                problems += cell.problems(LATE)
            rows.append(row)
            print(" | ".join(row), flush=True)
    TABLE.write_text(HEAD + table(rows))
    print(*problems, f"written to {TABLE.relative_to(Path.cwd())}", sep="\n")
    return 1 if problems else 0


def table(rows: list[list[str]]) -> str:
    lines = [["fault", *OPERATIONS], ["---"] * (1 + len(OPERATIONS)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
