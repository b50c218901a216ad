// Drives Firefox and Chromium for a Python test that runs elsewhere than the browsers.
// In: one JSON object a line, {id, open: browser}, {id, page, evaluate: expression} or {id, page} to close a page.
// Out: {id, value} or {id, error}; `open` answers with the number of the new page. The end of standard input
// closes everything.
// Pages are served from here on localhost, which browsers take for a secure context.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const root = new URL('../../../', import.meta.url);
const puppeteer = createRequire(new URL('web/package.json', root))('puppeteer-core');

const FILES = {
  '/client.html': ['tests/interop/pages/client.html', 'text/html'],
  '/client.js': ['tests/interop/pages/client.js', 'text/javascript'],
  '/livekit-client.umd.js': ['web/node_modules/livekit-client/dist/livekit-client.umd.js', 'text/javascript'],
};

const LAUNCH_TIMEOUT = 60_000; // milliseconds; Firefox with a new profile takes 12 s on two busy cores

const BROWSERS = {
  firefox: {
    browser: 'firefox',
    executablePath: '/usr/bin/firefox-esr',
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.autoplay.default': 0,
      'media.autoplay.blocking_policy': 0,
    },
  },
  chromium: {
    browser: 'chrome',
    executablePath: '/usr/bin/chromium',
    pipe: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
    ],
  },
};

const server = createServer((request, response) => {
  const [path, type] = FILES[request.url] ?? [];
  if (!path) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-type': type }).end(readFileSync(new URL(path, root)));
});
server.listen(0, 'localhost');
await once(server, 'listening');

const launched = new Map();
const pages = [];

function launch(name) {
  return puppeteer.launch({ headless: true, timeout: LAUNCH_TIMEOUT, ...BROWSERS[name] });
}

async function open(name) {
  if (!launched.has(name)) launched.set(name, launch(name));
  const context = await (await launched.get(name)).createBrowserContext();
  const page = await context.newPage();
  page.on('console', (message) => console.error(`${name}: ${message.text()}`));
  page.on('pageerror', (error) => console.error(`${name}: error ${error}`));
  await page.goto(`http://localhost:${server.address().port}/client.html`);
  return pages.push(page) - 1;
}

async function answer({ id, open: name, page, evaluate }) {
  try {
    if (name) return { id, value: await open(name) };
    if (evaluate) return { id, value: (await pages[page].evaluate(evaluate)) ?? null };
    await pages[page].browserContext().close();
    return { id, value: null };
  } catch (error) {
    return { id, error: String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  answer(JSON.parse(line)).then((reply) => process.stdout.write(`${JSON.stringify(reply)}\n`));
}
await Promise.allSettled([...launched.values()].map(async (browser) => (await browser).close()));
server.close();
