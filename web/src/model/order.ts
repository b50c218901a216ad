/**
 * The order of tiles: calm. People keep their place; somebody who speaks off the first page trades places with the
 * person on it who has been silent longest. Nobody else moves.
 */

import type { Person } from './people';

export interface Ordering {
  readonly identities: readonly string[];
  /** When each person was last heard, as the number of the update; absent: never. */
  readonly heard: ReadonlyMap<string, number>;
  readonly tick: number;
}

export const EMPTY_ORDER: Ordering = { identities: [], heard: new Map(), tick: 0 };

export function reorder(before: Ordering, people: readonly Person[], firstPage: number): Ordering {
  const present = new Map(people.map((person) => [person.identity, person]));
  const kept = before.identities.filter((identity) => present.has(identity));
  const known = new Set(kept);
  const identities = [...kept, ...[...present.keys()].filter((identity) => !known.has(identity))];
  const tick = before.tick + 1;
  const heard = new Map([...before.heard].filter(([identity]) => present.has(identity)));
  for (const person of people) if (person.speaking) heard.set(person.identity, tick);
  promote(identities, present, heard, firstPage);
  const same =
    identities.length === before.identities.length && identities.every((id, i) => id === before.identities[i]);
  return { identities: same ? before.identities : identities, heard, tick };
}

function promote(
  identities: string[],
  present: ReadonlyMap<string, Person>,
  heard: ReadonlyMap<string, number>,
  firstPage: number,
): void {
  for (let from = firstPage; from < identities.length; from += 1) {
    const identity = identities[from];
    if (identity === undefined || !present.get(identity)?.speaking) continue;
    const to = quietest(identities.slice(0, firstPage), present, heard);
    const displaced = to === -1 ? undefined : identities[to];
    if (displaced === undefined) return;
    identities[to] = identity;
    identities[from] = displaced;
  }
}

/** The place of the person who has been silent longest, among those who may move; -1 when all must stay. */
function quietest(
  page: readonly string[],
  present: ReadonlyMap<string, Person>,
  heard: ReadonlyMap<string, number>,
): number {
  let best = -1;
  let bestHeard = Number.POSITIVE_INFINITY;
  page.forEach((identity, place) => {
    const person = present.get(identity);
    if (!person || person.isSelf || person.speaking) return;
    const last = heard.get(identity) ?? 0;
    if (last <= bestHeard) {
      best = place;
      bestHeard = last;
    }
  });
  return best;
}
