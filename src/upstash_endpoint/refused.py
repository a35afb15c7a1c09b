"""The error of requests that the endpoint refuses itself."""


class Refused(Exception):
    """Raised for a request that Redis must not get; the reply is `{"error": text}`."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
