"""`python -m mailspool COMMAND …`: the `mailspool` command of an installation."""

import os
import sys

from mailspool.commandline import main
from mailspool.installed import become_service
from mailspool.preflight import CannotStart

if __name__ == "__main__":
    # How the program was found is nothing for what it starts.
    os.environ.pop("PYTHONPATH", None)
    try:
        if sys.argv[1:] not in (["--version"], ["version"]):
            become_service()
    except CannotStart as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    sys.argv[0] = "mailspool"
    main(sys.argv[1:])
