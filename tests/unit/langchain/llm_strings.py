"""Make LangChain's ``llm_string``, and the text of a key from it."""

import json
from typing import Any

from langchain_core.language_models import FakeListChatModel
from pydantic import Field, SecretStr

from llm_cache._langchain.conversation_key import conversation_text
from llm_cache._langchain.settings_key import settings_key

PARAMETERS = "[('stop', None)]"


def canonical(prompt: str, llm_string: str) -> tuple[str, str]:
    """Return the texts that enter a key."""
    return conversation_text(prompt), settings_key(llm_string)


def of_model(parameters: str = PARAMETERS, /, **fields: Any) -> str:
    """Return the settings of a call to a serialisable model with these fields."""
    model = {"lc": 1, "type": "constructor", "id": ["m", "Chat"], "kwargs": fields}
    return f"{json.dumps(model)}---{parameters}"


def of_call(**bound: Any) -> str:
    """Return the settings of a call to which these arguments are bound."""
    return FakeListChatModel(responses=["a"])._get_llm_string(stop=None, **bound)


class Claude(FakeListChatModel):
    """Lists its secrets as langchain-anthropic's ``ChatAnthropic`` does."""

    responses: list[str] = Field(default=["a"])
    anthropic_api_key: SecretStr = SecretStr("sk")
    mcp_servers: list[dict[str, Any]] | None = None

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"anthropic_api_key": "ANTHROPIC_API_KEY", "mcp_servers": "ANTHROPIC_MCP_SERVERS"}
