"""An Upstash that says what a test wants, with no network between."""

from typing import Any

from llm_cache._protocol.store import STORE
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.store import UpstashStore

EPOCH = "e1"
NOTHING = object()


class Canned(UpstashStore):
    """Every epoch is ``EPOCH``, every entry ``text``; or every reply is ``reply``."""

    def __init__(self) -> None:
        super().__init__(lambda: Credentials("https://x.upstash.io", "token"))
        self.text: Any = None
        self.reply: Any = NOTHING
        self.stored: list[str] = []

    def execute(self, command: Any, *_: Any) -> Any:
        if self.reply is not NOTHING:
            return self.reply
        match command:
            case ("MGET", *keys):
                return [self.text if ":entry:" in key else EPOCH for key in keys]
            case ("EVAL", script, int() as count, *words) if script == STORE:
                self.stored.append(_text(words[count:]))
        return 1

    async def aexecute(self, command: Any, *_: Any) -> Any:
        return self.execute(command)


def _text(words: list[Any]) -> str:
    """Return the entry that the script stores: a head, epochs with what is between, a body."""
    _, _, head, body, _, _, *told = words
    return f"{head}{''.join(between + EPOCH for between in told[1::2])}{body}"
