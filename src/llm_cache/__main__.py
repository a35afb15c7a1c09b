"""Run the command line: ``python -m llm_cache`` is ``llm-cache``."""

import sys

from llm_cache._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
