/**
 * Preferences kept on this device. A browser that refuses storage costs only the memory.
 */

import { parsePreferences, type Preferences } from '../model/preferences';

const KEY = 'conclave.preferences';

export function loadPreferences(): Preferences {
  return parsePreferences(read());
}

export function savePreferences(change: Partial<Preferences>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...loadPreferences(), ...change }));
  } catch {
    // Storage is full or switched off: the choice holds for this visit.
  }
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
