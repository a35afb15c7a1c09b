"""``python -m deployment deploy``: what ``make deploy`` and the targets beside it run."""

import sys

try:
    from deployment.commands import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:  # while Python still imports: nothing has begun
    sys.exit(130)
