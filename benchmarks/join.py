"""Join time in Chromium: from opening the WebSocket to the first decoded frame of a call that runs already.

Twenty joins of a fresh page, one after the other, against a server of its own; prints median and worst, in
milliseconds, and writes `benchmarks/join.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from server.probe.session import join
from server.probe.sources import DemoVideo
from tests.interop.conftest import CHROMIUM_FLAGS, Server, serve_pages, start_server, stop_server

JOINS = 20
MEASURE = """async ([url, token]) => {
  const started = performance.now();
  const room = new LivekitClient.Room();
  const first = new Promise((resolve) => room.on('trackSubscribed', (track) => {
    if (track.kind !== 'video') return;
    const element = track.attach();
    element.requestVideoFrameCallback(() => resolve(performance.now() - started));
    document.body.append(element);
  }));
  await room.connect(url, token);
  const connected = performance.now() - started;
  const frame = await first;
  await room.disconnect();
  return [connected, frame];
}"""


async def measure(server: Server) -> list[tuple[float, float]]:
    """(connected, first frame) of every join, milliseconds."""
    async with contextlib.AsyncExitStack() as stack:
        page_url = await stack.enter_async_context(serve_pages())
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS
        )
        stack.push_async_callback(browser.close)
        mouth = await stack.enter_async_context(
            join(server.url, server.token("mouth", "bench"), subscribe=False)
        )
        await mouth.publish(DemoVideo(), name="picture", source="camera")
        results = []
        for number in range(JOINS):
            page = await browser.new_page()
            await page.goto(page_url)
            token = server.token(f"viewer-{number}", "bench")
            connected, frame = await page.evaluate(MEASURE, [server.ws, token])
            results.append((float(connected), float(frame)))
            await page.close()
        return results


def summary(values: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median_ms": round(statistics.median(values), 1), "worst_ms": round(max(values), 1)}


def main() -> None:
    """Runs the measurement."""
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            results = asyncio.run(measure(server))
        finally:
            stop_server(server)
    report = {
        "joins": len(results),
        "connected": summary([connected for connected, _ in results]),
        "first_frame": summary([frame for _, frame in results]),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
