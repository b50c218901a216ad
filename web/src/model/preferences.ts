/**
 * What the page remembers about a person between visits, on their own device only.
 */

import { cleanName } from './route';

export interface Preferences {
  readonly name: string;
  readonly cameraId: string;
  readonly microphoneId: string;
  readonly speakerId: string;
  readonly wantCamera: boolean;
  readonly wantMicrophone: boolean;
  /** Single keys as commands; some people need them off (WCAG 2.1.4). */
  readonly shortcuts: boolean;
}

export const DEFAULT_PREFERENCES: Preferences = {
  name: '',
  cameraId: '',
  microphoneId: '',
  speakerId: '',
  wantCamera: true,
  wantMicrophone: true,
  shortcuts: true,
};

/** Whatever was stored, by whichever version: known fields of the right type are kept, the rest is default. */
export function parsePreferences(stored: string | null): Preferences {
  const found = parseObject(stored);
  const text = (key: keyof Preferences): string => {
    const value = found[key];
    return typeof value === 'string' ? value : '';
  };
  const flag = (key: keyof Preferences): boolean => found[key] !== false;
  return {
    name: cleanName(text('name')),
    cameraId: text('cameraId'),
    microphoneId: text('microphoneId'),
    speakerId: text('speakerId'),
    wantCamera: flag('wantCamera'),
    wantMicrophone: flag('wantMicrophone'),
    shortcuts: flag('shortcuts'),
  };
}

function parseObject(stored: string | null): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(stored ?? '{}');
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
