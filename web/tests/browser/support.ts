/**
 * A browser for tests: Chromium with drawn devices, pages that remember what went wrong, and axe.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type BrowserContextOptions, type Page, type Route } from 'playwright-core';
import { expect } from 'vitest';

export const DESK = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/** Devices that beep and blink, and a browser that allows them without asking. */
export const FAKE_DEVICES = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

const ALWAYS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];

export function launch(...flags: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...ALWAYS, ...flags],
  });
}

/** A page, and everything that it should not have done: errors, violations of its policy, requests elsewhere. */
export interface Visit {
  readonly page: Page;
  readonly faults: string[];
  readonly requests: string[];
}

export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: DESK, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  const requests: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) faults.push(message.text());
  });
  page.on('request', (request) => requests.push(request.url()));
  page.on('websocket', (socket) => requests.push(socket.url()));
  return { page, faults, requests };
}

export function expectCleanVisit({ page, faults, requests }: Visit): void {
  expect(faults).toEqual([]);
  const { host } = new URL(page.url());
  expect(requests.filter((url) => /^(https?|wss?):/.test(url) && new URL(url).host !== host)).toEqual([]);
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** Every rule axe has for WCAG 2.2 A and AA and for good practice. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResult>('axe.run(document)');
  const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => [id, node.html, node.failureSummary]));
  expect(found).toEqual([]);
}

export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(excess).toBeLessThanOrEqual(0);
}

/** Plays the server's development endpoint; nothing else of a server is played. */
export async function answerMeeting(page: Page, answer: (route: Route) => Promise<void>): Promise<void> {
  await page.route('**/api/meeting?*', answer);
}

export function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement;
    return element?.getAttribute('aria-label') ?? element?.getAttribute('name') ?? element?.textContent ?? '';
  });
}
