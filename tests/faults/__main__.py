"""Write the matrix of faults and operations down as a table: ``make faults``."""

import sys
from pathlib import Path

from tests.faults.breaks import FAULTS
from tests.faults.line import stations
from tests.faults.matrix import (
    OPERATIONS,
    TIMEOUT,
    budget,
    cell,
    promised,
    shorten_what_nobody_waits_for,
)

TABLE = Path(__file__).with_name("README.md")
LATE = 0.05  # seconds that the caller may notice
HEAD = f"""\
# What goes wrong, and what the caller notices

What a caller gets of each operation that meets each fault, and after how many seconds: run and
written by `make faults`. A command may take {TIMEOUT} seconds here, and so may an operation; but
the lease of a fleet is two commands. The client is the published one, over TLS and by a name; the
server is a real one, and the tokens are of its users.

- `lookup`, `update`, `lease` (a miss of `coalesce="fleet"` and its update) and `protected` (a miss
  and an update of a cache that encrypts) raise nothing. An answer that could not be stored has
  reached its caller all the same.
- `clear`, `delete` and `reclaim` tell the truth. Who is told an error cannot know whether it ran.
- Their twins with an `a` are the asynchronous ones.
- After each, nothing lies in Redis without an expiry (but epochs); what had been stored is still
  there, unless it was deleted or the server has lost it; and the next lookup and update of the same
  cache do what they should.
- Upstash evicts nothing by default: a database that is full can be read and cleared, and room can
  be made in it.

"""


def main() -> int:
    """Run every cell; return 1 if one is not as promised."""
    shorten_what_nobody_waits_for()
    rows, broken = [], 0
    with stations(1) as (station,):
        for fault in FAULTS:
            row = [fault]
            for operation in OPERATIONS:
                with station.line() as line:
                    came = cell(fault, operation, line)
                row.append(f"{came.got} {came.seconds:.2f}")
                late = came.seconds > budget(operation) + LATE
                if late or not came.well or came.got not in promised(fault, operation):
                    broken += 1
                    print(f"NOT AS PROMISED: {fault}, {operation}: {came}")
            rows.append(row)
            print(" | ".join(row), flush=True)
    TABLE.write_text(HEAD + _markdown([["fault", *OPERATIONS], ["---"] * len(row), *rows]))
    print(f"written to {TABLE.relative_to(Path.cwd())}")
    return 1 if broken else 0


def _markdown(rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
