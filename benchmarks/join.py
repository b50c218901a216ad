"""Join time in Chromium: from opening the WebSocket to the first decoded frame of a call that runs already.

A Chromium publishes its camera; fresh pages join, first twenty one after the other, then four times five at once,
against a server of its own. Prints median and worst in milliseconds, what a crowd costs as a ratio, and how many
key frames the publisher was asked for; writes `benchmarks/join.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import BrowserContext, Page, async_playwright

from tests.interop.conftest import CHROMIUM_FLAGS, Server, serve_pages, start_server, stop_server

JOINS = 20
CROWD = 5
CROWDS = 4
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


async def measure(server: Server) -> dict[str, object]:
    """The whole report."""
    async with contextlib.AsyncExitStack() as stack:
        page_url = await stack.enter_async_context(serve_pages())
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS
        )
        stack.push_async_callback(browser.close)
        context = await browser.new_context(permissions=["camera", "microphone"])
        mouth = await context.new_page()
        await mouth.goto(page_url)
        await mouth.evaluate(
            "([url, token]) => join(url, token)", [server.ws, token(server, "mouth")]
        )
        await mouth.evaluate("publish({ simulcast: false, microphone: false })")
        # The first one to look makes the publisher's encoder start.
        await crowd(context, server, page_url, ["first"])
        asked = await requests(mouth)
        alone = [(await crowd(context, server, page_url, [f"a{n}"]))[0] for n in range(JOINS)]
        between = await requests(mouth)
        together = [
            each
            for n in range(CROWDS)
            for each in await crowd(context, server, page_url, [f"c{n}-{m}" for m in range(CROWD)])
        ]
        one, five = (statistics.median(frame for _, frame in some) for some in (alone, together))
        return {
            "one_at_a_time": report(alone, between - asked),
            f"{CROWD}_at_once": report(together, await requests(mouth) - between),
            "crowd_to_one": round(five / one, 2),
        }


async def crowd(
    context: BrowserContext, server: Server, url: str, names: list[str]
) -> list[tuple[float, float]]:
    """(connected, first frame) of pages that join at the same time, milliseconds."""
    pages = [await context.new_page() for _ in names]
    for page in pages:
        await page.goto(url)
    joins = (
        page.evaluate(MEASURE, [server.ws, token(server, name)])
        for page, name in zip(pages, names, strict=True)
    )
    results = await asyncio.gather(*joins)
    for page in pages:
        await page.close()
    return [(float(connected), float(frame)) for connected, frame in results]


def token(server: Server, identity: str) -> str:
    """For the one room."""
    return server.token(identity, "bench")


async def requests(mouth: Page) -> int:
    """Key-frame requests that reached the publisher."""
    sent = (await mouth.evaluate("stats()"))["outbound"]
    return sum(int(stream["pliCount"]) for stream in sent)


def report(joins: list[tuple[float, float]], asked: int) -> dict[str, object]:
    """Figures of one way to join."""
    return {
        "joins": len(joins),
        "connected": summary([connected for connected, _ in joins]),
        "first_frame": summary([frame for _, frame in joins]),
        "key_frame_requests": asked,
    }


def summary(values: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median_ms": round(statistics.median(values), 1), "worst_ms": round(max(values), 1)}


def main() -> None:
    """Runs the measurement."""
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            figures = asyncio.run(measure(server))
        finally:
            stop_server(server)
    Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
