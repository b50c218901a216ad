/**
 * Which tiles stand where: the meeting's people and an area in, tiles with boxes out. A tile keeps its key while it
 * moves between grid, strip and stage, so that its picture goes on without a break.
 */

import { gridBoxes, pageCapacity, stageLayout, type Box, type Size } from './layout';
import type { Meeting } from './meeting';
import type { Person } from './people';
import { focusOf, orderedPeople, stripPeople, type Focus } from './view';

export interface TileSpec {
  readonly key: string;
  readonly person: Person;
  readonly kind: 'camera' | 'screen';
  readonly place: 'grid' | 'stage' | 'strip';
  readonly box: Box;
}

export interface Board {
  readonly tiles: readonly TileSpec[];
  /** How many people have a place at once; the rest is on further pages. */
  readonly capacity: number;
  readonly page: number;
  readonly pages: number;
}

export function layBoard(meeting: Meeting, area: Size): Board {
  const focus = focusOf(meeting);
  return focus ? stageBoard(meeting, area, focus) : gridBoard(meeting, area);
}

function gridBoard(meeting: Meeting, area: Size): Board {
  const capacity = pageCapacity(area);
  const { people, page, pages } = pageOf(orderedPeople(meeting), meeting.page, capacity);
  const boxes = gridBoxes(area, people.length);
  return { tiles: cameraTiles(people, boxes, 'grid'), capacity, page, pages };
}

function stageBoard(meeting: Meeting, area: Size, focus: Focus): Board {
  const others = stripPeople(meeting, focus);
  const { capacity } = stageLayout(area, others.length);
  const { people, page, pages } = pageOf(others, meeting.page, capacity);
  const { stage, strip } = stageLayout(area, people.length);
  const kind = focus.kind === 'screen' ? 'screen' : 'camera';
  const staged: TileSpec = { key: tileKey(focus.person, kind), person: focus.person, kind, place: 'stage', box: stage };
  return { tiles: [staged, ...cameraTiles(people, strip, 'strip')], capacity, page, pages };
}

function cameraTiles(people: readonly Person[], boxes: readonly Box[], place: 'grid' | 'strip'): TileSpec[] {
  return people.flatMap((person, i) => {
    const box = boxes[i];
    return box ? [{ key: tileKey(person, 'camera'), person, kind: 'camera' as const, place, box }] : [];
  });
}

function tileKey(person: Person, kind: TileSpec['kind']): string {
  return `${kind}:${person.identity}`;
}

function pageOf(people: readonly Person[], wanted: number, capacity: number): { people: Person[]; page: number; pages: number } {
  const pages = Math.max(1, Math.ceil(people.length / capacity));
  const page = Math.min(wanted, pages - 1);
  return { people: people.slice(page * capacity, (page + 1) * capacity), page, pages };
}
