"""The edge to Upstash: its client, and the HTTP that carries the commands."""
