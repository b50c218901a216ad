/**
 * Short news of the meeting: shown for a moment, and read out by screen readers.
 * Comes in: changes of people and chat. Goes out: a bounded list of notices with ids.
 */

import { listNames } from './format';
import type { PeopleChange } from './people';

export interface Notice {
  readonly id: number;
  readonly text: string;
  /** `quiet` notices are only read out: on screen the tiles already show them. */
  readonly quiet: boolean;
  readonly about: 'meeting' | 'chat';
}

export interface Notices {
  readonly list: readonly Notice[];
  readonly nextId: number;
}

/** More than this cannot be read before it is gone. */
export const MAX_NOTICES = 4;
/** In larger rooms the microphones of others would never stop talking to a screen reader. */
const MAX_PEOPLE_FOR_MUTE_NEWS = 8;

export const NO_NOTICES: Notices = { list: [], nextId: 1 };

export function notify(notices: Notices, text: string, quiet = false, about: Notice['about'] = 'meeting'): Notices {
  const notice: Notice = { id: notices.nextId, text, quiet, about };
  return { list: [...notices.list, notice].slice(-MAX_NOTICES), nextId: notices.nextId + 1 };
}

export function dismiss(notices: Notices, id: number): Notices {
  const list = notices.list.filter((notice) => notice.id !== id);
  return list.length === notices.list.length ? notices : { ...notices, list };
}

/** Takes the chat's news away: the chat itself shows it now. */
export function dismissChat(notices: Notices): Notices {
  return { ...notices, list: notices.list.filter((notice) => notice.about !== 'chat') };
}

/** News from changes of the people; everything one update brings of a kind becomes one sentence. */
export function announceChanges(notices: Notices, changes: readonly PeopleChange[], people: number): Notices {
  const others = changes.filter((change) => !change.person.isSelf);
  const names = (kind: PeopleChange['kind']): string[] =>
    others.filter((change) => change.kind === kind).map((change) => change.person.name);
  let result = notices;
  const say = (kind: PeopleChange['kind'], words: string, quiet: boolean): void => {
    const who = names(kind);
    if (who.length > 0) result = notify(result, `${listNames(who)} ${words}`, quiet);
  };
  say('joined', 'joined', false);
  say('left', 'left', false);
  say('share_started', 'started sharing a screen', false);
  say('share_stopped', 'stopped sharing a screen', true);
  if (people <= MAX_PEOPLE_FOR_MUTE_NEWS) {
    say('muted', 'turned the microphone off', true);
    say('unmuted', 'turned the microphone on', true);
  }
  return result;
}
