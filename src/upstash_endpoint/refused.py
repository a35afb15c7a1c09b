"""What the endpoint itself refuses, as opposed to Redis."""


class Refused(Exception):
    """A request that gets `{"error": text}` and an HTTP status, without reaching Redis."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
