import { describe, expect, it } from 'vitest';
import { chatParts, continues } from '../../src/model/chat';
import { deviceList, presentDevice } from '../../src/model/devices';
import { badge, clockTime, initials, listNames, tint, TINTS } from '../../src/model/format';
import { meterLevel, smoothLevel } from '../../src/model/level';
import { DEFAULT_PREFERENCES, parsePreferences } from '../../src/model/preferences';
import { commandFor, SHORTCUTS } from '../../src/model/shortcuts';

describe('a name', () => {
  it.each([
    ['Ana Silva', 'AS'],
    ['ana', 'A'],
    ['Ana Maria da Silva', 'AS'],
    ['élodie', 'É'],
    ['(Bo)', 'B'],
    ['robot_7', 'R7'],
    ['会議', '会'],
    ['', '•'],
    ['!!!', '•'],
  ])('“%s” has the initials %s', (name, expected) => {
    expect(initials(name)).toBe(expected);
  });

  it('has the same tint everywhere, and names spread over all tints', () => {
    expect(tint('ana')).toBe(tint('ana'));
    const found = new Set(Array.from({ length: 200 }, (_, i) => tint(`person-${i}`)));
    expect(found.size).toBe(TINTS);
  });

  it.each([
    [[], ''],
    [['Ana'], 'Ana'],
    [['Ana', 'Bo'], 'Ana and Bo'],
    [['Ana', 'Bo', 'Cy'], 'Ana, Bo and 1 other'],
    [['Ana', 'Bo', 'Cy', 'Di'], 'Ana, Bo and 2 others'],
  ])('in the list %j is told as “%s”', (names, expected) => {
    expect(listNames(names)).toBe(expected);
  });
});

describe('numbers', () => {
  it('on a badge are bounded', () => {
    expect([badge(1), badge(99), badge(100)]).toEqual(['1', '99', '99+']);
  });

  it('of the clock have hours and minutes', () => {
    expect(clockTime(new Date(2026, 1, 3, 14, 5).getTime(), 'en-GB')).toBe('14:05');
  });
});

describe('a message', () => {
  it('keeps its text and links only what is a web address', () => {
    expect(chatParts('see https://example.org/a?b=1, or javascript:alert(1).')).toEqual([
      { text: 'see ' },
      { text: 'https://example.org/a?b=1', link: 'https://example.org/a?b=1' },
      { text: ', or javascript:alert(1).' },
    ]);
    expect(chatParts('<b>plain</b>')).toEqual([{ text: '<b>plain</b>' }]);
  });

  it.each(['', 'a', 'https://a.b', 'x https://a.b/c) y', '\nhttp://a.b\n'])('loses nothing of “%s”', (text) => {
    expect(
      chatParts(text)
        .map((part) => part.text)
        .join(''),
    ).toBe(text);
  });

  it('continues the one before it for three minutes', () => {
    const first = { id: '1', identity: 'a', name: 'A', text: '', at: 0, isSelf: false };
    expect(continues(first, { ...first, at: 60_000 })).toBe(true);
    expect(continues(first, { ...first, at: 180_000 })).toBe(false);
    expect(continues(first, { ...first, identity: 'b', at: 1 })).toBe(false);
    expect(continues(undefined, first)).toBe(false);
  });
});

describe('the level of a microphone', () => {
  it('is nothing in silence, full for loud speech, between for quiet speech', () => {
    expect(meterLevel(new Float32Array(512))).toBe(0);
    expect(meterLevel(new Float32Array(512).fill(0.5))).toBe(1);
    const quiet = meterLevel(new Float32Array(512).fill(0.02));
    expect(quiet).toBeGreaterThan(0.3);
    expect(quiet).toBeLessThan(0.7);
  });

  it('rises at once and falls slowly', () => {
    expect(smoothLevel(0.1, 0.9)).toBe(0.9);
    expect(smoothLevel(0.9, 0)).toBeCloseTo(0.84);
    expect(smoothLevel(0.01, 0)).toBe(0);
  });
});

describe('devices', () => {
  const found = [
    { kind: 'videoinput', deviceId: 'c1', label: 'Front' },
    { kind: 'videoinput', deviceId: 'c2', label: '' },
    { kind: 'audioinput', deviceId: '', label: '' },
    { kind: 'audiooutput', deviceId: 's1', label: 'Desk' },
  ] as const;

  it('are listed by kind with a label for each, without those that permission still hides', () => {
    expect(deviceList(found)).toEqual({
      camera: [
        { id: 'c1', label: 'Front' },
        { id: 'c2', label: 'Camera 2' },
      ],
      microphone: [],
      speaker: [{ id: 's1', label: 'Desk' }],
    });
  });

  it('that are gone give way to the default', () => {
    const list = deviceList(found);
    expect(presentDevice(list, 'camera', 'c2')).toBe('c2');
    expect(presentDevice(list, 'camera', 'gone')).toBe('');
  });
});

describe('preferences', () => {
  it('come back as they were stored', () => {
    const stored = { ...DEFAULT_PREFERENCES, name: 'Ana', cameraId: 'c', wantCamera: false, shortcuts: false };
    expect(parsePreferences(JSON.stringify(stored))).toEqual(stored);
  });

  it.each([null, '', 'null', '[]', '{', '7', '{"name":7,"wantCamera":"x"}'])('are the defaults after %s', (stored) => {
    expect(parsePreferences(stored)).toEqual(DEFAULT_PREFERENCES);
  });
});

describe('keys', () => {
  const press = (key: string, difference = {}): Parameters<typeof commandFor>[0] => ({
    key,
    modified: false,
    repeated: false,
    inField: false,
    ...difference,
  });

  it('each do one thing', () => {
    expect(new Set(SHORTCUTS.map((shortcut) => shortcut.key)).size).toBe(SHORTCUTS.length);
    for (const { key, command } of SHORTCUTS) expect(commandFor(press(key))).toBe(command);
  });

  it('work with caps lock too', () => {
    expect(commandFor(press('M'))).toBe('toggle_microphone');
  });

  it.each(['modified', 'repeated', 'inField'])('do nothing when %s', (reason) => {
    expect(commandFor(press('m', { [reason]: true }))).toBeNull();
  });
});
