/**
 * The page's icons: strokes on a 24 unit square, in the colour of the text. Always decoration: the words beside them
 * or the label of their button say what they mean.
 */

import type { JSX } from 'preact';

const PATHS = {
  microphone: 'M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3Zm-7 8a7 7 0 0 0 14 0m-7 7v3',
  microphone_off:
    'M9 9v2a3 3 0 0 0 4.6 2.5M15 11V6a3 3 0 0 0-5.8-1M5 11a7 7 0 0 0 10.5 6M19 11a7 7 0 0 1-.9 3.4M12 18v3M4 4l16 16',
  camera: 'M5.5 6.5h7a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2Zm9 4.2 6-3.2v9l-6-3.2',
  camera_off:
    'M6.5 6.5h-1a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h7a2 2 0 0 0 2-1.8M10.5 6.5h2a2 2 0 0 1 2 2v2.2l6-3.2v9l-3-1.6M4 4l16 16',
  screen: 'M5 4.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2ZM8.5 20h7M12 13.5v-6M9.3 10 12 7.3l2.7 2.7',
  chat: 'M6 4.5h12a2.5 2.5 0 0 1 2.5 2.5v7a2.5 2.5 0 0 1-2.5 2.5h-7L6.5 20v-3.5H6A2.5 2.5 0 0 1 3.5 14V7A2.5 2.5 0 0 1 6 4.5Z',
  people:
    'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 19.5c.4-3.3 3-5.2 6.5-5.2s6.1 1.9 6.5 5.2M16 4.8a3.4 3.4 0 0 1 0 6.4M18 14.6c2 .7 3.2 2.4 3.5 4.9',
  leave: 'M10 4.5H6a1.5 1.5 0 0 0-1.5 1.5v12A1.5 1.5 0 0 0 6 19.5h4M15 8l4 4-4 4M19 12H9.5',
  settings: 'M4 7.5h7.5M16.5 7.5H20M4 16.5h3.5M12.5 16.5H20M14 10a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM10 19a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z',
  help: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9.5 9.6a2.5 2.5 0 1 1 3.7 2.2c-.8.4-1.2 1-1.2 1.9M12 16.8v.1',
  close: 'M6 6l12 12M18 6 6 18',
  enlarge: 'M14.5 4H20v5.5M9.5 20H4v-5.5M20 4l-6.5 6.5M4 20l6.5-6.5',
  shrink: 'M20 9.5h-5.5V4M4 14.5h5.5V20M14.5 9.5 20.5 3.5M9.5 14.5l-6 6',
  previous: 'M14.5 6 8.5 12l6 6',
  next: 'M9.5 6l6 6-6 6',
  send: 'M4.5 12 20 4.5l-5 15.5-3.2-6.3L4.5 12Zm7.3 1.7L20 4.5',
  warning: 'M12 4.2 2.8 19.5h18.4L12 4.2ZM12 10v4.5M12 17v.1',
  sound: 'M4 9.5v5h3.5l5 4v-13l-5 4H4ZM16 9a4.2 4.2 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11',
  door: 'M7 20.5V5a1.5 1.5 0 0 1 1.5-1.5h7A1.5 1.5 0 0 1 17 5v15.5M4 20.5h16M13.8 12v.1',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** A ring of seats around a keyhole: people in a room that can be locked. */
export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path class="mark-ring" d="M16 3a13 13 0 0 1 9.8 21.5l-2.3-1.9a10 10 0 1 0-15 0l-2.3 1.9A13 13 0 0 1 16 3Z" />
      <path class="mark-key" d="M16 10a4.8 4.8 0 0 1 2.6 8.8L20.3 28h-8.6l1.7-9.2A4.8 4.8 0 0 1 16 10Z" />
    </svg>
  );
}
