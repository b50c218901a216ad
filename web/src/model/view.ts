/**
 * Questions about a meeting that several components ask. Pure selections, no state.
 */

import type { Meeting } from './meeting';
import type { Person } from './people';

export interface Focus {
  readonly person: Person;
  readonly kind: 'screen' | 'pinned';
}

/** What belongs on the stage: a pinned person, else the latest shared screen of somebody else, else one's own. */
export function focusOf(meeting: Meeting): Focus | null {
  const pinned = meeting.people.find((person) => person.identity === meeting.pinned);
  if (pinned) return { person: pinned, kind: pinned.screen ? 'screen' : 'pinned' };
  const sharing = meeting.people.filter((person) => person.screen);
  const shown = sharing.findLast((person) => !person.isSelf) ?? sharing.at(-1);
  return shown ? { person: shown, kind: 'screen' } : null;
}

/** People in the order of their tiles. */
export function orderedPeople(meeting: Meeting): Person[] {
  const byIdentity = new Map(meeting.people.map((person) => [person.identity, person]));
  return meeting.ordering.identities.flatMap((identity) => byIdentity.get(identity) ?? []);
}

/** For the strip beside a stage: everybody but the one who is on it in person. */
export function stripPeople(meeting: Meeting, focus: Focus): Person[] {
  const people = orderedPeople(meeting);
  return focus.kind === 'screen' ? people : people.filter((person) => person.identity !== focus.person.identity);
}

export interface Banner {
  readonly tone: 'info' | 'warning';
  readonly text: string;
}

/** The network in plain words; null when there is nothing to say. */
export function networkBanner(meeting: Meeting): Banner | null {
  switch (meeting.phase) {
    case 'connecting':
      return { tone: 'info', text: 'Joining the meeting…' };
    case 'resuming':
      return { tone: 'warning', text: 'The connection is shaky. Holding on…' };
    case 'reconnecting':
      return { tone: 'warning', text: 'The connection was lost. Joining again…' };
    case 'ended':
      return null;
    case 'connected': {
      const quality = meeting.people.find((person) => person.isSelf)?.quality;
      if (quality === 'lost') return { tone: 'warning', text: 'Others cannot hear or see you at the moment.' };
      if (quality === 'poor') return { tone: 'warning', text: 'Your network is weak. Turning your camera off may help.' };
      return null;
    }
  }
}
