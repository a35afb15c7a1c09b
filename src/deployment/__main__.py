"""Run a command: `python -m deployment deploy` is `make deploy`."""

import sys

try:
    from deployment.commands import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:  # during the imports, before any work
    sys.exit(130)
