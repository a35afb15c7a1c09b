"""Run ministack with its functions in another interpreter: `python _ministack.py FUNCTIONS_PYTHON`.

ministack runs functions on `sys.executable`, beside its own packages. Theirs is the environment
that holds what AWS's Python runtime holds and nothing else, so a package missing from a layer is
missing here too. Its scheduler looks every ten seconds; here every second.
"""

import sys

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import scheduler  # type: ignore[import-not-found]

sys.executable = sys.argv.pop(1)
scheduler._SCHEDULE_TICK_INTERVAL = 1  # noqa: SLF001

main()
