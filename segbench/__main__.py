"""Runs the command line for ``python -m segbench``."""

from segbench.cli.app import main

if __name__ == "__main__":
    main()
