"""`python -m verifier`: see `verifier.cli`."""

import sys

from verifier.cli import main


def run() -> int:
    """The program as it is installed."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
