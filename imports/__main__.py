"""`python -m imports`: the command line."""

import os

try:
    from imports.cli import main
except KeyboardInterrupt:
    # Nothing is open yet that needs to be closed.
    os._exit(130)

if __name__ == "__main__":
    main()
