"""``make bench``: this library beside the class it replaces and the bare client, in one run."""

from tests.benchmarks import at_rest, clear, imports, suites, wire

wire.main()
at_rest.main()
clear.main()
imports.main()
suites.main()
