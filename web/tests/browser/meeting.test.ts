import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { SCENES } from '../story/scenes';
import { expectAccessible, expectCleanVisit, expectNoSidewaysScroll, focused, launch, PHONE, visit } from './support';

const storyUrl = inject('storyUrl');

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
afterAll(() => browser.close());

async function openScene(scene: string, options: Parameters<typeof visit>[1] = {}): Promise<Page> {
  const found = await visit(browser, options);
  await found.page.goto(`${storyUrl}?scene=${scene}`);
  await found.page.locator('.tile').first().waitFor();
  expectCleanVisit(found);
  return found.page;
}

describe('every scene', () => {
  it.each(Object.keys(SCENES))('“%s” is accessible and fits, in light on a desk and in dark on a phone', async (scene) => {
    const page = await openScene(scene);
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
    await page.setViewportSize(PHONE);
    await page.emulateMedia({ colorScheme: 'dark' });
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
  });
});

describe('tiles', () => {
  it('tell their facts in data attributes and to screen readers', async () => {
    const page = await openScene('six');
    const speaker = page.locator('[data-participant=p1][data-kind=camera]');
    expect(await speaker.getAttribute('data-speaking')).toBe('true');
    expect(await page.locator('[data-participant=p2]').getAttribute('data-microphone')).toBe('off');
    await page.getByRole('listitem', { name: 'Chinonso Eze, microphone off, camera on' }).waitFor();
    await page.getByRole('listitem', { name: 'Elif Yıldız, microphone on, camera on, weak connection' }).waitFor();
  });

  it('play real pictures', async () => {
    const page = await openScene('two');
    await page.waitForFunction(() =>
      [...document.querySelectorAll('video')].every((video) => video.videoWidth === 640 && !video.paused),
    );
    expect(await page.locator('video').count()).toBe(2);
  });

  it('keep playing the same element when somebody is enlarged', async () => {
    const page = await openScene('six');
    const before = await page.locator('[data-participant=p4] video').elementHandle();
    await page.locator('[data-participant=p4] .tile-pin').click();
    await page.locator('[data-participant=p4][data-place=stage]').waitFor();
    expect(await before.evaluate((video) => video.isConnected)).toBe(true);
    await page.getByRole('button', { name: 'Show Elif Yıldız at usual size' }).click();
    await page.locator('[data-participant=p4][data-place=grid]').waitFor();
  });

  it('of a crowd come in pages; only those in sight have a picture', async () => {
    const page = await openScene('crowd');
    const first = await page.locator('.tile').count();
    expect(first).toBeLessThanOrEqual(25);
    await page.getByRole('button', { name: 'Next page' }).click();
    await page.locator('[data-participant=p30]').waitFor();
    expect(await page.locator('[data-participant=p1]').count()).toBe(0);
    await page.keyboard.press('PageUp');
    await page.locator('[data-participant=p1]').waitFor();
  });

  it('do not move without a wish for motion', async () => {
    const still = await openScene('two', { reducedMotion: 'reduce' });
    const durations = (page: Page): Promise<string> =>
      page.locator('.tile').first().evaluate((tile) => getComputedStyle(tile).transitionDuration);
    expect(await durations(still)).toMatch(/^0s/);
    const moving = await openScene('two', { reducedMotion: 'no-preference' });
    expect(await durations(moving)).not.toMatch(/^0s/);
  });
});

describe('the controls', () => {
  it('say what they will do, and do it', async () => {
    const page = await openScene('two');
    await page.getByRole('button', { name: 'Turn mic off' }).click();
    await page.getByRole('button', { name: 'Turn mic on' }).waitFor();
    expect(await page.locator('[data-control=microphone]').getAttribute('data-state')).toBe('off');
    await page.getByRole('status').getByText('Microphone off').waitFor({ state: 'attached' });
  });

  it('answer to keys, but not while one writes', async () => {
    const page = await openScene('two');
    await page.keyboard.press('m');
    await page.locator('[data-control=microphone][data-state=off]').waitFor();
    await page.keyboard.press('c');
    await page.getByLabel('Message to everyone').and(page.locator(':focus')).waitFor();
    await page.keyboard.type('mmm');
    expect(await page.getByLabel('Message to everyone').inputValue()).toBe('mmm');
    expect(await page.locator('[data-control=microphone]').getAttribute('data-state')).toBe('off');
  });

  it('have keys that can be switched off', async () => {
    const page = await openScene('two');
    await page.keyboard.press('?');
    await page.getByLabel('Single keys work as shortcuts').uncheck();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('m');
    expect(await page.locator('[data-control=microphone]').getAttribute('data-state')).toBe('on');
  });

  it('are not offered to whom the meeting does not allow them', async () => {
    const page = await openScene('listener');
    const microphone = page.getByRole('button', { name: 'Mic: not allowed in this meeting' });
    expect(await microphone.getAttribute('aria-disabled')).toBe('true');
    await page.keyboard.press('m');
    expect(await microphone.getAttribute('data-state')).toBe('off');
  });
});

describe('dialogs and panels', () => {
  it('keep the focus inside of a dialog and give it back', async () => {
    const page = await openScene('two');
    await page.getByRole('button', { name: 'Choose devices' }).click();
    await page.getByRole('dialog', { name: 'Devices' }).waitFor();
    const inside = (): Promise<boolean> => page.evaluate(() => document.activeElement?.closest('dialog') !== null);
    for (let i = 0; i < 8; i += 1) {
      await page.keyboard.press('Tab');
      const outside = !(await inside()) && !(await page.evaluate(() => document.activeElement === document.body));
      expect(outside).toBe(false);
    }
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(() => focused(page)).toBe('Choose devices');
  });

  it('open the chat with the cursor in it and close it with Escape, back at its button', async () => {
    const page = await openScene('unread');
    expect(await page.title()).toBe('(3) Garden committee · Conclave');
    await page.getByRole('button', { name: 'Open chat, 3 unread' }).click();
    await page.getByLabel('Message to everyone').waitFor();
    await page.waitForFunction(() => document.activeElement instanceof HTMLTextAreaElement);
    expect(await page.title()).toBe('Garden committee · Conclave');
    await page.keyboard.press('Escape');
    expect(await focused(page)).toBe('Open chat');
  });

  it('send a message with Enter and break the line with Shift', async () => {
    const page = await openScene('chat_empty');
    await page.getByLabel('Message to everyone').focus();
    await page.keyboard.type('first');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('second');
    await page.keyboard.press('Enter');
    expect(await page.locator('.message-text').innerText()).toBe('first\nsecond');
    expect(await page.getByLabel('Message to everyone').inputValue()).toBe('');
  });

  it('link addresses without handing over the page', async () => {
    const page = await openScene('chat');
    const link = page.getByRole('link', { name: 'https://example.org/plan' });
    expect(await link.getAttribute('rel')).toBe('noopener noreferrer');
    expect(await link.getAttribute('target')).toBe('_blank');
  });
});

describe('trouble in the meeting', () => {
  it('is told as an alert when the network breaks', async () => {
    const page = await openScene('reconnecting');
    await page.getByRole('alert').getByText('The connection was lost. Joining again…').waitFor();
  });

  it('of sound that the browser holds back is solved by one click', async () => {
    const page = await openScene('trouble');
    await page.getByRole('button', { name: 'Turn the sound on' }).click();
    await page.getByRole('button', { name: 'Turn the sound on' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Understood' }).click();
    expect(await page.locator('[data-trouble]').count()).toBe(0);
  });
});
