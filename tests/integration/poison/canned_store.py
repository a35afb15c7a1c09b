"""A store with canned replies, without a network."""

from typing import Any

from llm_cache._protocol.store import STORE
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

EPOCH = "e1"
NO_REPLY = object()


class CannedStore(UpstashStore):
    """Every epoch is ``EPOCH`` and every entry ``text``, unless every reply is ``reply``."""

    def __init__(self) -> None:
        super().__init__(lambda: Credentials("https://x.upstash.io", "token"))
        self.text: Any = None
        self.reply: Any = NO_REPLY
        self.stored: list[str] = []

    def execute(self, command: Any, *_: Any) -> Any:
        if self.reply is not NO_REPLY:
            return self.reply
        match command:
            case ("MGET", *keys):
                return [self.text if ":entry:" in key else EPOCH for key in keys]
            case ("EVAL", script, int() as count, *args) if script == STORE:
                _, _, head, body, _, _, *epochs = args[count:]
                self.stored.append(f"{head}{''.join(text + EPOCH for text in epochs[1::2])}{body}")
        return 1

    async def aexecute(self, command: Any, *_: Any) -> Any:
        return self.execute(command)
