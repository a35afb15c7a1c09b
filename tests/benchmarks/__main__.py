"""``make bench``: this library beside the class it replaces and the bare client, in one run."""

from tests.benchmarks import at_rest, clear, cold_hit, imports, suites, wire

wire.main()
at_rest.main()
clear.main()
imports.main()
cold_hit.main()
suites.main()
