"""``make bench``: this library beside the class it replaces and the bare client, in one run."""

from tests.benchmarks import clear, imports, suites, wire

wire.main()
clear.main()
imports.main()
suites.main()
