"""What Lambda passes to a handler beside the event; the events are those of the local cloud."""

from local_cloud.events import function_url, signed_by

__all__ = ["Context", "function_url", "signed_by"]


class Context:
    """What Lambda passes beside the event."""

    function_name = "ask"
    function_version = "1"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ask:live"
    aws_request_id = "6f2d1ab0-0000-4000-8000-000000000000"

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)
