"""`python -m sidecar.child`: the sidecar as a server starts it.

In: a line of settings on standard input, whose end later is the end of the server. Out: a line of JSON on standard
output once it works; an exit code. Must not: read a configuration, or import what it can do without: until it
works, nobody is let in.
"""

from __future__ import annotations

import json
import sys

from sidecar.logs import configure
from sidecar.main import run
from sidecar.settings import Launch


def main() -> int:
    """Reads the settings and works until the server is gone or says so."""
    line = sys.stdin.buffer.readline()
    if not line:  # the server was gone before it said anything
        return 0
    launch = Launch.decode(line)
    configure(level=launch.level, as_json=launch.as_json)
    return run(
        launch.config, lambda url: print(json.dumps({"event": "ready", "url": url}), flush=True)
    )


if __name__ == "__main__":
    sys.exit(main())
