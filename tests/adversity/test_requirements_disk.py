"""What a call leaves on disk, told by the kernel: every file that server and sidecar write, every byte of it.

Somebody joins from an address of its own, with a name, through a server whose system calls are traced.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aioice.ice
import httpx
import pytest
import websockets

from tests.adversity.test_canary import CONFIG, SAID, SECRET, Scene, Traces, children
from tests.interop.conftest import launch, stop_server, until
from tests.support.canaries import search
from tests.support.http_clients import WhipClient

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
ADDRESS = SAID["address"]
PACKED = bytes(map(int, ADDRESS.split(".")))
# A socket address of the kernel, and how IPv6 writes one of IPv4: four bytes alone turn up by chance.
BINARY = (
    re.compile(rb"\x02\x00.." + re.escape(PACKED), re.DOTALL),
    re.compile(rb"\xff\xff" + re.escape(PACKED)),
)
WRITES = "write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range"
NAMES = "open,openat,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,memfd_create"
# Python's own cache of compiled modules is made by whoever runs the code first; it says nothing about a call.
TRACER = (
    "env", "PYTHONDONTWRITEBYTECODE=1",
    "strace", "-D", "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", "65535", "-e", f"trace={WRITES},{NAMES}",
)  # fmt: skip
# What may be opened to write, below the data folder; everything else is a finding.
OWN = ("vault.key", "vault/", "audit/", "snapshots.sock")
DEVICES = ("/dev/null", "/dev/tty")


@dataclass
class Written:
    """What was traced."""

    opened: set[str]  # paths that were opened to write, made or renamed
    content: dict[str, bytes]  # what went into files, by path


def decoded(text: str) -> str:
    """A string in which every byte stands as `\\x..`."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text)


def read(trace: Path) -> Written:
    """Every line: `pid call(arguments) = result`, or the first half of one."""
    written = Written(set(), {})
    for line in trace.read_text().splitlines():
        found = re.match(r"\d+ +(\w+)\((.*)", line)
        if found is None:
            continue
        call, rest = found[1], found[2]
        if call in WRITES.split(","):
            target = re.match(r"\d+<([^>]*)>", rest)
            path = decoded(target[1]) if target else "?"
            if not re.match(r"(socket|pipe|anon_inode|UNIX|TCP|UDP)", path):
                data = "".join(
                    decoded(each) for each in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', rest)
                )
                written.content[path] = written.content.get(path, b"") + data.encode("latin-1")
        elif not call.startswith("open") or re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest):
            folder = re.match(r"(?:\d+|AT_FDCWD)<([^>]*)>", rest)
            for name in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', rest):
                base = Path(decoded(folder[1])) if folder else Path("/")
                written.opened.add(str(base / decoded(name)))
    return written


async def meet(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder and a WebSocket client from `ADDRESS`: their signalling and their media."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [ADDRESS])
    video = {"room": SAID["room"], "roomJoin": True}
    whip = WhipClient(
        scene.server.url, scene.token("encoder", SAID["identity"], video, name=SAID["name"])
    )
    await whip.http.aclose()
    whip.http = httpx.AsyncClient(
        base_url=scene.server.url, transport=httpx.AsyncHTTPTransport(local_address=ADDRESS)
    )
    token = scene.token("guest", SAID["second identity"], video, metadata=SAID["phone"])
    async with whip:
        assert f" {ADDRESS} " in whip.connection.localDescription.sdp

        async def connected() -> bool:
            return whip.connection.connectionState == "connected"

        await until(connected, "media from that address")
        target = f"{scene.server.ws}/rtc?access_token={token}&protocol=16"
        async with websockets.connect(target, proxy=None, local_addr=(ADDRESS, 0)) as socket:
            assert SAID["name"].encode() in bytes(await socket.recv())  # type: ignore[arg-type]
        assert await whip.delete() == 200


def core_limit(process: int) -> tuple[str, str]:
    """Soft and hard limit of a process's core files."""
    limits = Path(f"/proc/{process}/limits").read_text()
    found = re.search(r"Max core file size +(\S+) +(\S+)", limits)
    assert found
    return found[1], found[2]


def foreign(paths: Sequence[str] | set[str], data: Path) -> list[str]:
    """Paths where nothing may be written."""
    allowed = (*DEVICES, *(str(data / each) for each in OWN))
    return sorted(
        path
        for path in paths
        if not path.startswith(allowed) and Path(path) not in {data, data / "vault", data / "audit"}
    )


async def test_nothing_personal_reaches_a_disk_but_sealed_and_no_file_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, data = tmp_path / "outside", tmp_path / "data"
    outside.mkdir()
    data.mkdir()
    (outside / "secret").write_text(SECRET)
    config = outside / "conclave.toml"
    config.write_text(CONFIG.format(data=data, secret=outside / "secret"))
    trace = outside / "trace"
    server = await asyncio.to_thread(
        launch, outside, "serve", "--config", str(config), prefix=(*TRACER, "-o", str(trace))
    )
    scene = Scene(server, Traces(), server.audit, data)
    try:
        processes = [server.process.pid, *children(server.process.pid)]
        limits = [core_limit(each) for each in processes]
        await meet(scene, monkeypatch)
    finally:
        await asyncio.to_thread(stop_server, server)
    assert server.process.returncode == 0
    assert len(processes) == 2  # the server and its sidecar
    assert limits == [("0", "0")] * 2

    written = read(trace)
    sealed = [path for path in written.opened if path.startswith(str(data / "vault/subjects"))]
    assert sealed, "the trace sees what the vault writes"
    assert any(b"admission_granted" in content for content in written.content.values())
    assert foreign(written.opened, data) == []
    log = str(outside / "server.log")
    assert foreign({path for path in written.content if path != log}, data) == []

    traces = scene.traces
    traces.folder("data", data)
    traces.file("log", outside / "server.log")
    traces.places |= {f"written to {path}": content for path, content in written.content.items()}
    traces.places["names of files"] = "\n".join(sorted(written.opened)).encode()
    assert search(traces.values, traces.places) == []
    assert not [
        place for place, content in traces.places.items() for each in BINARY if each.search(content)
    ]
