"""The address of a local database, the same every time."""

PORT = 8079
"""Also the usual port of Serverless Redis HTTP, another local Upstash."""
TOKEN = "local-token"  # noqa: S105 - no secret: the database is on loopback, in memory
