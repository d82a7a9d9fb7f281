"""Lets ``python -m segbench`` be the command line."""

from segbench.cli.app import main

if __name__ == "__main__":
    main()
