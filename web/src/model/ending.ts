/**
 * Why a meeting is over for this person, and what the page says about it.
 */

export type Ending =
  | 'left'
  | 'removed'
  | 'closed'
  | 'duplicate'
  | 'server_shutdown'
  | 'connection_lost'
  | 'media_failed'
  | 'unknown';

export interface EndingWords {
  readonly title: string;
  readonly detail: string;
  /** Whether joining again may succeed. */
  readonly mayRejoin: boolean;
}

const WORDS: Readonly<Record<Ending, EndingWords>> = {
  left: { title: 'You left the meeting', detail: 'You can come back at any time.', mayRejoin: true },
  removed: { title: 'You were removed from the meeting', detail: 'A host ended your participation.', mayRejoin: false },
  closed: { title: 'The meeting has ended', detail: 'The room was closed for everyone.', mayRejoin: true },
  duplicate: {
    title: 'You joined from somewhere else',
    detail: 'The same invitation was used in another window or device, so this one was closed.',
    mayRejoin: true,
  },
  server_shutdown: {
    title: 'The server is going down',
    detail: 'It was stopped, perhaps for an update. Try again in a minute.',
    mayRejoin: true,
  },
  connection_lost: {
    title: 'The connection was lost',
    detail: 'The page tried for a while and did not get through. Check your network and join again.',
    mayRejoin: true,
  },
  media_failed: {
    title: 'Sound and picture could not get through',
    detail: 'A firewall or VPN may block them. Try another network, or turn the VPN off.',
    mayRejoin: true,
  },
  unknown: { title: 'The meeting ended unexpectedly', detail: 'You can try to join again.', mayRejoin: true },
};

export function endingWords(ending: Ending): EndingWords {
  return WORDS[ending];
}

/** From LiveKit's `DisconnectReason` numbers (livekit_models.proto); an absent reason is a lost connection. */
export function endingFromReason(reason: number | undefined): Ending {
  return reason === undefined ? 'connection_lost' : (BY_REASON[reason] ?? 'unknown');
}

const BY_REASON: Readonly<Record<number, Ending>> = {
  1: 'left',
  2: 'duplicate',
  3: 'server_shutdown',
  4: 'removed',
  5: 'closed',
  6: 'connection_lost',
  7: 'connection_lost',
  9: 'connection_lost',
  10: 'closed',
  14: 'connection_lost',
  15: 'media_failed',
};
