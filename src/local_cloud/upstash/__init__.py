"""An endpoint that speaks Upstash's REST protocol, in front of a real Redis server."""

from local_cloud.upstash.endpoint import UpstashEndpoint
from local_cloud.upstash.meter import Metered, Reading

__all__ = ["Metered", "Reading", "UpstashEndpoint"]
