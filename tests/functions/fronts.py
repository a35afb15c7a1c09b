"""An event of each front, as AWS's documents show it: `fronts/*.json`."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "fronts"
ALL = sorted(path.stem for path in FOLDER.glob("*.json"))
NOT_HTTP = ["direct", "step_functions"]
HTTP = [name for name in ALL if name not in NOT_HTTP]
UNNAMED = ["alb", "alb_multi_value", "function_url_none", "http_api_lambda", "rest_api_none"]


def front(name: str) -> Any:
    """Read one, anew."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
