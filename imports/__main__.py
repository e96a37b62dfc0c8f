"""`python -m imports`: the command line."""

from imports.cli import main

if __name__ == "__main__":
    main()
