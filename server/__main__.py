"""Entry point of `conclave` and of `python -m server`."""

import sys

from server.cli import app


def main() -> None:
    """Runs the command line and exits with its code."""
    sys.exit(app())


if __name__ == "__main__":
    main()
