"""What one process tells another, as a line of JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Told:
    """The base of a dataclass whose fields are JSON."""

    @property
    def as_text(self) -> str:
        """What ``from_text`` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what another process wrote."""
        return cls(**json.loads(text))
