/**
 * The people in a meeting as the page shows them: plain values, no SDK objects.
 * `mergePeople` keeps unchanged people identical, so that their tiles need not be drawn again.
 */

export type Quality = 'excellent' | 'good' | 'poor' | 'lost' | 'unknown';

/** A picture that can be shown now. `key` names the stream for the media port. */
export interface Picture {
  readonly key: string;
  /** The network is too weak for it at the moment; the last frame is stale. */
  readonly paused: boolean;
}

export interface Person {
  readonly identity: string;
  readonly name: string;
  readonly isSelf: boolean;
  readonly microphone: 'on' | 'off' | 'none';
  readonly camera: Picture | null;
  readonly screen: Picture | null;
  /** Sounds to play: keys for the media port. Empty for oneself. */
  readonly sounds: readonly string[];
  readonly speaking: boolean;
  readonly quality: Quality;
}

export function mergePeople(before: readonly Person[], after: readonly Person[]): readonly Person[] {
  const known = new Map(before.map((person) => [person.identity, person]));
  const merged = after.map((person) => {
    const old = known.get(person.identity);
    return old && samePerson(old, person) ? old : person;
  });
  const unchanged = merged.length === before.length && merged.every((person, i) => person === before[i]);
  return unchanged ? before : merged;
}

export type PeopleChange =
  | { readonly kind: 'joined' | 'left'; readonly person: Person }
  | { readonly kind: 'muted' | 'unmuted'; readonly person: Person }
  | { readonly kind: 'share_started' | 'share_stopped'; readonly person: Person };

/** What others would tell each other about the difference of two moments. */
export function peopleChanges(before: readonly Person[], after: readonly Person[]): PeopleChange[] {
  const old = new Map(before.map((person) => [person.identity, person]));
  const changes: PeopleChange[] = [];
  for (const person of after) {
    const previous = old.get(person.identity);
    old.delete(person.identity);
    if (!previous) changes.push({ kind: 'joined', person });
    else changes.push(...personChanges(previous, person));
  }
  for (const person of old.values()) changes.push({ kind: 'left', person });
  return changes;
}

function personChanges(before: Person, after: Person): PeopleChange[] {
  const changes: PeopleChange[] = [];
  if (before.microphone === 'on' && after.microphone === 'off') changes.push({ kind: 'muted', person: after });
  if (before.microphone !== 'on' && after.microphone === 'on') changes.push({ kind: 'unmuted', person: after });
  if (!before.screen && after.screen) changes.push({ kind: 'share_started', person: after });
  if (before.screen && !after.screen) changes.push({ kind: 'share_stopped', person: after });
  return changes;
}

function samePerson(a: Person, b: Person): boolean {
  return (
    a.name === b.name &&
    a.isSelf === b.isSelf &&
    a.microphone === b.microphone &&
    a.speaking === b.speaking &&
    a.quality === b.quality &&
    samePicture(a.camera, b.camera) &&
    samePicture(a.screen, b.screen) &&
    a.sounds.length === b.sounds.length &&
    a.sounds.every((key, i) => key === b.sounds[i])
  );
}

function samePicture(a: Picture | null, b: Picture | null): boolean {
  return a?.key === b?.key && a?.paused === b?.paused;
}
