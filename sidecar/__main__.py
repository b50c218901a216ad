"""`python -m sidecar DATA`: the audit log of one machine, with everything below one folder."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from sidecar.main import run
from sidecar.settings import embedded


def main() -> int:
    """Reads the command line and works until a signal."""
    parser = argparse.ArgumentParser(prog="sidecar", description="Keeps the audit log.")
    parser.add_argument("data", type=Path, help="folder for everything that outlives the process")
    parser.add_argument("--origin", help="the log's name")
    parser.add_argument("--port", type=int, help="TCP port of metrics and log; 0: any free one")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    config = embedded(arguments.data, port=arguments.port)
    if arguments.origin:
        config = replace(config, origin=arguments.origin)
    return run(config)


if __name__ == "__main__":
    sys.exit(main())
