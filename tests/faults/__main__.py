"""Print the matrix of faults and operations as a table: ``make faults``."""

from tests.faults.matrix import ASYNC, OPERATIONS, TIMEOUT, cell, shorten_what_nobody_waits_for
from tests.faults.wire import WIRE
from upstash_redis import Redis

from local_cloud.redis_server import RedisServer
from local_cloud.upstash import UpstashEndpoint

HEAD = f"""\
What a caller gets, and after how many seconds, of each operation that meets each fault. A command
may take {TIMEOUT} seconds here. Clearing and reclaiming tell the truth; nothing else raises. After
each, nothing lies in Redis without an expiry, and the next lookup and update do what they should.
"""


def main() -> None:
    """Run every cell."""
    operations = (*OPERATIONS, *ASYNC)
    print(f"{HEAD}\n| fault | {' | '.join(operations)} |\n|---|{'---|' * len(operations)}")
    shorten_what_nobody_waits_for()
    with RedisServer.start() as server, UpstashEndpoint.start(server) as upstash:
        for fault in WIRE:
            cells = []
            for operation in operations:
                with Redis(upstash.url, upstash.token) as client:
                    client.flushdb()
                came = cell(fault, operation, upstash, server)
                well = came.left == [] and came.after == "miss, hit"
                cells.append(
                    f"{came.got} {came.seconds:.2f}{'' if well else ' **not well after**'}"
                )
            print(f"| {fault} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
