"""Network namespaces with an address that is not the loopback's, for clients that gather no candidate on that."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.interop.conftest import Server, launch

ADDRESS = "10.213.0.1"
CONFIG = f"""
data = "{{data}}"
[http]
port = 0
[media]
addresses = ["{ADDRESS}"]
port = 0
[keys.devkey]
secret = "secret"
"""


class Namespace:
    """A network namespace, and what runs in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = ["ip", "netns", "exec", name]

    def make(self) -> None:
        for command in (
            f"netns add {self.name}",
            f"-n {self.name} link set lo up",
            f"-n {self.name} link add here type veth peer name there",
            f"-n {self.name} address add {ADDRESS}/24 dev here",
            f"-n {self.name} link set here up",
            f"-n {self.name} link set there up",
            f"-n {self.name} route add default via 10.213.0.2 dev here",
        ):
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)

    def remove(self) -> None:
        """Kills what is left inside, then lets go of the namespace."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        for pid in listed.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)


@contextlib.contextmanager
def namespace_for(purpose: str) -> Iterator[Namespace]:
    """A namespace of this process, until the end of the block."""
    made = Namespace(f"{purpose}-{os.getpid()}")
    try:
        made.make()
        yield made
    finally:
        made.remove()


@contextlib.contextmanager
def server_in(namespace: Namespace, data: Path) -> Iterator[Server]:
    """A server that announces the address of the namespace and nothing else."""
    path = data / "conclave.toml"
    path.write_text(CONFIG.format(data=data))
    running = launch(data, "serve", "--config", str(path), prefix=namespace.prefix)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()
