/**
 * Which of the page's screens is shown, and how one leads to another.
 */

import type { Ending } from './ending';

export type Screen<Stay> =
  | { readonly at: 'welcome' }
  | { readonly at: 'lobby' }
  | { readonly at: 'meeting'; readonly stay: Stay }
  | { readonly at: 'ended'; readonly ending: Ending };

export type ScreenEvent<Stay> =
  | { readonly type: 'joined'; readonly stay: Stay }
  | { readonly type: 'ended'; readonly ending: Ending }
  | { readonly type: 'rejoin' };

export function firstScreen<Stay>(room: string): Screen<Stay> {
  return room === '' ? { at: 'welcome' } : { at: 'lobby' };
}

/** An event that makes no sense on the present screen changes nothing. */
export function nextScreen<Stay>(screen: Screen<Stay>, event: ScreenEvent<Stay>): Screen<Stay> {
  switch (event.type) {
    case 'joined':
      return screen.at === 'lobby' ? { at: 'meeting', stay: event.stay } : screen;
    case 'ended':
      return screen.at === 'meeting' ? { at: 'ended', ending: event.ending } : screen;
    case 'rejoin':
      return screen.at === 'ended' ? { at: 'lobby' } : screen;
  }
}
