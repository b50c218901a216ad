import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { INSECURE_HOST } from './global-setup';
import {
  answerMeeting,
  expectAccessible,
  expectCleanVisit,
  expectNoSidewaysScroll,
  FAKE_DEVICES,
  focused,
  launch,
  PHONE,
  visit,
  type Visit,
} from './support';

const pageUrl = inject('pageUrl');
const lobbyUrl = new URL('meet/garden', pageUrl).href;

let browser: Browser;
beforeAll(async () => {
  browser = await launch(...FAKE_DEVICES, `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
afterAll(() => browser.close());

async function openLobby(options: Parameters<typeof visit>[1] = {}): Promise<Visit> {
  const found = await visit(browser, { permissions: ['camera', 'microphone'], ...options });
  await found.page.goto(lobbyUrl);
  return found;
}

async function join(page: Page, name = 'Ana'): Promise<void> {
  if (name !== '') await page.getByLabel('Your name').fill(name);
  await page.locator('[data-action=join]').click();
}

const problem = (status: number, code: string, title: string, detail: string) => ({
  status,
  contentType: 'application/problem+json',
  body: JSON.stringify({ code, title, detail, status }),
});

describe('the welcome', () => {
  it('leads to the room that was typed', async () => {
    const found = await visit(browser);
    await found.page.goto(pageUrl);
    await found.page.getByLabel('Room name').fill('  Grüner Salon ');
    await found.page.keyboard.press('Enter');
    await found.page.getByRole('heading', { level: 1, name: 'Grüner Salon' }).waitFor();
    expect(new URL(found.page.url()).pathname).toBe('/meet/Gr%C3%BCner%20Salon');
    expectCleanVisit(found);
  });

  it('asks for a name that is missing and puts the cursor there', async () => {
    const { page } = await visit(browser);
    await page.goto(pageUrl);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('Type the name of a room to join it.').waitFor();
    expect(await page.getByLabel('Room name').evaluate((field) => field === document.activeElement)).toBe(true);
  });

  it.each(['light', 'dark'] as const)('is accessible in the %s', async (colorScheme) => {
    const found = await visit(browser, { colorScheme });
    await found.page.goto(pageUrl);
    await found.page.getByLabel('Room name').waitFor();
    await expectAccessible(found.page);
  });
});

describe('the lobby', () => {
  it('shows the camera, hears the microphone, lists the devices', async () => {
    const found = await openLobby();
    const { page } = found;
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    await page.waitForFunction(() => {
      const video = document.querySelector<HTMLVideoElement>('[data-preview=camera]');
      return (video?.videoWidth ?? 0) > 0 && (video?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > 2;
    });
    await page.locator('[data-heard=true]').waitFor();
    expect(await page.locator('[data-device=camera] option').count()).toBeGreaterThan(0);
    expect(await page.locator('[data-device=microphone] option').count()).toBeGreaterThan(1);
    expectCleanVisit(found);
  });

  it('really stops a device that is switched off, and remembers the wish', async () => {
    const { page } = await openLobby();
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    const track = await page.evaluateHandle(() => {
      const video = document.querySelector<HTMLVideoElement>('[data-preview=camera]');
      return (video?.srcObject as MediaStream).getVideoTracks()[0];
    });
    await page.getByRole('button', { name: 'Turn camera off' }).click();
    await page.locator('[data-switch=camera][data-state=off]').waitFor();
    expect(await track.evaluate((found) => found?.readyState)).toBe('ended');
    await page.reload();
    await page.locator('[data-switch=microphone][data-state=on]').waitFor();
    expect(await page.locator('[data-switch=camera]').getAttribute('data-state')).toBe('off');
  });

  it('offers to listen when everything is off, and says what that means', async () => {
    const { page } = await openLobby();
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    await page.getByRole('button', { name: 'Turn camera off' }).click();
    await page.getByRole('button', { name: 'Turn microphone off' }).click();
    await page.getByRole('button', { name: 'Join as a listener' }).waitFor();
    await page.getByText('Others will neither see nor hear you.').waitFor();
  });

  it('asks for a name before it asks the server', async () => {
    const { page, requests } = await openLobby();
    await join(page, '');
    await page.locator('[data-trouble=name_needed]').waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'name');
    expect(requests.filter((url) => url.includes('/api/'))).toEqual([]);
  });

  it('can be used with the keyboard alone, in the order of reading', async () => {
    const { page } = await openLobby();
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    const order: string[] = [];
    for (let i = 0; i < 6; i += 1) {
      await page.keyboard.press('Tab');
      order.push(await page.evaluate(() => document.activeElement?.outerHTML.match(/data-(?:switch|device|action)="\w+"|name="\w+"/)?.[0] ?? ''));
    }
    expect(order).toEqual([
      'data-switch="microphone"',
      'data-switch="camera"',
      'name="name"',
      'data-device="microphone"',
      'data-device="camera"',
      'data-action="join"',
    ]);
  });

  it.each([
    ['light', undefined],
    ['dark', undefined],
    ['light', PHONE],
    ['dark', PHONE],
  ] as const)('is accessible in the %s at %j', async (colorScheme, viewport) => {
    const { page } = await openLobby({ colorScheme, ...(viewport && { viewport }) });
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
  });

  it('has the join button in sight on a phone', async () => {
    const { page } = await openLobby({ viewport: PHONE });
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    const box = await page.locator('[data-action=join]').boundingBox();
    expect((box?.y ?? 9999) + (box?.height ?? 0)).toBeLessThanOrEqual(PHONE.height);
  });
});

describe('the lobby says what is wrong', () => {
  /** Replaces the camera and microphone of the page by a failure that no real device gives on demand. */
  async function withFailure(name: string, message: string): Promise<Visit> {
    const found = await visit(browser, { permissions: ['camera', 'microphone'] });
    await found.page.addInitScript(
      ([failure, words]) => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException(words, failure));
      },
      [name, message],
    );
    await found.page.goto(lobbyUrl);
    return found;
  }

  it.each([
    ['NotAllowedError', 'Permission denied', 'permission_denied'],
    ['NotAllowedError', 'Permission dismissed', 'permission_dismissed'],
    ['NotReadableError', 'Could not start video source', 'camera_busy'],
    ['NotFoundError', 'Requested device not found', 'camera_missing'],
  ])('after %s “%s”, and listening stays possible', async (name, message, code) => {
    const { page } = await withFailure(name, message);
    await page.locator(`[data-trouble=${code}]`).waitFor();
    await page.getByRole('button', { name: 'Try again' }).first().waitFor();
    await page.getByRole('button', { name: 'Join as a listener' }).waitFor();
    await expectAccessible(page);
  });

  it('on a machine without any device', async () => {
    const bare = await launch();
    try {
      const { page } = await visit(bare, { permissions: ['camera', 'microphone'] });
      await page.goto(lobbyUrl);
      await page.locator('[data-trouble=camera_missing]').waitFor();
      await page.locator('[data-trouble=microphone_missing]').waitFor();
    } finally {
      await bare.close();
    }
  });

  it('on an insecure address', async () => {
    const { page } = await visit(browser);
    await page.goto(lobbyUrl.replace('127.0.0.1', INSECURE_HOST));
    await page.locator('[data-trouble=insecure_context]').waitFor();
    await page.getByRole('button', { name: 'Join as a listener' }).waitFor();
  });

  it('recovers when trying again works', async () => {
    const { page } = await visit(browser, { permissions: ['camera', 'microphone'] });
    await page.addInitScript(() => {
      const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      let failures = 3; // together, then one by one
      navigator.mediaDevices.getUserMedia = (constraints) => {
        failures -= 1;
        return failures < 0 ? real(constraints) : Promise.reject(new DOMException('', 'NotReadableError'));
      };
    });
    await page.goto(lobbyUrl);
    await page.locator('[data-trouble=camera_busy]').waitFor();
    await page.getByRole('button', { name: 'Try again' }).first().click();
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    await page.locator('[data-switch=microphone][data-state=on]').waitFor();
    expect(await page.locator('[data-trouble]').count()).toBe(0);
  });
});

describe('joining', () => {
  it('asks the endpoint for room and name, and tells when nobody answers there', async () => {
    const { page } = await openLobby();
    const asked: URL[] = [];
    await answerMeeting(page, (route) => {
      asked.push(new URL(route.request().url()));
      return route.abort('connectionrefused');
    });
    await join(page, ' Ana & Bo ');
    await page.locator('[data-trouble=server_unreachable]').waitFor();
    expect(asked[0]?.pathname).toBe('/api/meeting');
    expect(Object.fromEntries(asked[0]?.searchParams ?? [])).toEqual({ room: 'garden', name: 'Ana & Bo' });
  });

  it('shows a refusal in the server’s own words', async () => {
    const { page } = await openLobby();
    await answerMeeting(page, (route) => route.fulfill(problem(403, 'room_locked', 'The room is locked', 'Ask the host.')));
    await join(page);
    await page.locator('[data-trouble=room_locked]').getByText('The room is locked').waitFor();
    expect(await page.locator('[data-action=join]').textContent()).toBe('Join');
  });

  it('tells who has no invitation when the server has no such endpoint', async () => {
    const { page } = await openLobby();
    await answerMeeting(page, (route) => route.fulfill({ status: 404, body: 'not found' }));
    await join(page);
    await page.locator('[data-trouble=invitation_needed]').waitFor();
  });

  it('tells when the token came but the signalling server is not there', async () => {
    const found = await openLobby();
    const { page } = found;
    await answerMeeting(page, (route) => route.fulfill({ json: { token: 'a.b.c', url: 'ws://elsewhere.invalid' } }));
    await join(page);
    await page.locator('[data-trouble=server_unreachable]').waitFor();
    expectCleanVisit(found);
  });

  it('tells when the token is refused', async () => {
    const { page } = await openLobby();
    await answerMeeting(page, (route) => route.fulfill({ json: { token: 'a.b.c' } }));
    await page.route('**/rtc/**', (route) => route.fulfill({ status: 401, body: 'invalid token' }));
    await join(page);
    await page.locator('[data-trouble=token_refused]').waitFor();
  });
});

describe('an invitation link', () => {
  it('joins with its token, which leaves the address bar and never rides on a page request', async () => {
    const { page, requests } = await visit(browser, { permissions: ['camera', 'microphone'] });
    await page.goto(`${lobbyUrl}#token=secret.of.ana`);
    await page.locator('[data-switch=camera][data-state=on]').waitFor();
    expect(page.url()).toBe(lobbyUrl);
    expect(await page.getByLabel('Your name').count()).toBe(0);
    await join(page, '');
    await page.locator('[data-trouble=server_unreachable]').waitFor();
    const carriers = requests.filter((url) => url.includes('secret.of.ana')).map((url) => new URL(url).pathname);
    expect(carriers.length).toBeGreaterThan(0);
    expect(carriers.filter((path) => !path.startsWith('/rtc'))).toEqual([]);
    expect(requests.filter((url) => url.includes('/api/'))).toEqual([]);
  });

  it('still works after a reload', async () => {
    const { page } = await visit(browser, { permissions: ['camera', 'microphone'] });
    await page.goto(`${lobbyUrl}#token=secret.of.ana`);
    await page.locator('[data-action=join]').waitFor();
    await page.reload();
    await page.locator('[data-action=join]').waitFor();
    expect(await page.getByLabel('Your name').count()).toBe(0);
    expect(await focused(page)).not.toContain('secret');
  });
});
