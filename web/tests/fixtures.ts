/** People and meetings for tests, with one difference to the ordinary at a time. */

import { newMeeting, reduceMeeting, type Action, type Meeting } from '../src/model/meeting';
import type { Person } from '../src/model/people';

export function person(identity: string, difference: Partial<Person> = {}): Person {
  return {
    identity,
    name: identity,
    isSelf: false,
    microphone: 'on',
    camera: null,
    screen: null,
    sounds: [],
    speaking: false,
    quality: 'excellent',
    ...difference,
  };
}

export function people(count: number): Person[] {
  return Array.from({ length: count }, (_, i) => person(`p${i}`, { isSelf: i === 0 }));
}

export function meetingAfter(...actions: readonly Action[]): Meeting {
  return actions.reduce(reduceMeeting, newMeeting('garden'));
}

/** Connected, with these people in the room already. */
export function meetingOf(who: readonly Person[]): Meeting {
  return meetingAfter({ type: 'phase', phase: 'connected' }, { type: 'people', people: who });
}
