"""`python -m imports`, and the program `resilient-importer`: the command line as a process."""

import gc
import os


def start() -> None:
    """Runs the command line, and exits with its code."""
    # What is imported stays: to look for garbage in it again and again takes a tenth of a small
    # import. A run collects garbage from its begin on.
    gc.disable()
    try:
        from imports.cli import main
    except KeyboardInterrupt:
        # Nothing is open yet that needs to be closed.
        os._exit(130)
    try:
        main()
    finally:
        # Everything is closed. Python would look through all of it once more before it exits.
        gc.freeze()


if __name__ == "__main__":
    start()
