/**
 * Keys and what they do. One table: the help dialog shows it, the key handler looks things up in it.
 */

export type Command =
  | 'toggle_microphone'
  | 'toggle_camera'
  | 'toggle_share'
  | 'toggle_chat'
  | 'toggle_people'
  | 'open_settings'
  | 'next_page'
  | 'previous_page'
  | 'open_help';

export interface Shortcut {
  readonly key: string;
  readonly label: string;
  readonly command: Command;
  readonly does: string;
}

export const SHORTCUTS: readonly Shortcut[] = [
  { key: 'm', label: 'M', command: 'toggle_microphone', does: 'Microphone on or off' },
  { key: 'v', label: 'V', command: 'toggle_camera', does: 'Camera on or off' },
  { key: 's', label: 'S', command: 'toggle_share', does: 'Share a screen, or stop sharing' },
  { key: 'c', label: 'C', command: 'toggle_chat', does: 'Open or close the chat' },
  { key: 'p', label: 'P', command: 'toggle_people', does: 'Open or close the list of people' },
  { key: 'd', label: 'D', command: 'open_settings', does: 'Choose devices' },
  { key: 'pagedown', label: 'Page down', command: 'next_page', does: 'Next page of people' },
  { key: 'pageup', label: 'Page up', command: 'previous_page', does: 'Previous page of people' },
  { key: '?', label: '?', command: 'open_help', does: 'Show this list' },
];

export interface KeyPress {
  readonly key: string;
  /** Control, Alt or Command is held. */
  readonly modified: boolean;
  readonly repeated: boolean;
  /** The focus is where text is typed or a choice is made with keys. */
  readonly inField: boolean;
}

export function commandFor(press: KeyPress): Command | null {
  if (press.modified || press.repeated || press.inField) return null;
  const key = press.key.toLowerCase();
  return SHORTCUTS.find((shortcut) => shortcut.key === key)?.command ?? null;
}
