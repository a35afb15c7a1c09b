"""Run the command line: ``python -m llm_cache`` is ``llm-cache``."""

import sys

from llm_cache._cli.main import main

sys.exit(main())
