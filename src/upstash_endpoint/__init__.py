"""An endpoint that speaks Upstash's REST protocol, in front of a real Redis server."""
