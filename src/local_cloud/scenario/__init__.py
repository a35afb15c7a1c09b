"""The scenario of `make run`, with its expectations and its printed table."""
