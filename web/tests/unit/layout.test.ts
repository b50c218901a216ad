import { describe, expect, it } from 'vitest';
import { layBoard } from '../../src/model/board';
import { gridBoxes, MAX_TILES_PER_PAGE, pageCapacity, stageLayout, type Box, type Size } from '../../src/model/layout';
import { reduceMeeting } from '../../src/model/meeting';
import { meetingOf, people, person } from '../fixtures';

const AREAS: readonly Size[] = [
  { width: 1248, height: 640 },
  { width: 366, height: 680 },
  { width: 800, height: 300 },
  { width: 2500, height: 1300 },
];

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function expectApartAndInside(boxes: readonly Box[], area: Size): void {
  boxes.forEach((box, i) => {
    expect(box.x).toBeGreaterThanOrEqual(0);
    expect(box.y).toBeGreaterThanOrEqual(0);
    expect(box.x + box.width).toBeLessThanOrEqual(area.width + 1);
    expect(box.y + box.height).toBeLessThanOrEqual(area.height + 1);
    for (const other of boxes.slice(i + 1)) expect(overlap(box, other)).toBe(false);
  });
}

describe('the grid', () => {
  it.each(AREAS)('keeps 1 to 25 tiles apart and inside of $width × $height', (area) => {
    for (let count = 1; count <= MAX_TILES_PER_PAGE; count += 1) {
      const boxes = gridBoxes(area, count);
      expect(boxes).toHaveLength(count);
      expectApartAndInside(boxes, area);
    }
  });

  it('makes all tiles of a page equal', () => {
    const sizes = gridBoxes({ width: 1248, height: 640 }, 7).map(({ width, height }) => `${width}x${height}`);
    expect(new Set(sizes).size).toBe(1);
  });

  it('puts two people side by side on a desk and one above the other on a phone', () => {
    const [left, right] = gridBoxes({ width: 1248, height: 640 }, 2);
    expect(left?.y).toBe(right?.y);
    const [upper, lower] = gridBoxes({ width: 366, height: 680 }, 2);
    expect(upper?.x).toBe(lower?.x);
  });

  it('centres an incomplete last row', () => {
    const area = { width: 1200, height: 640 };
    const boxes = gridBoxes(area, 3);
    const last = boxes[2];
    expect((last?.x ?? 0) + (last?.width ?? 0) / 2).toBeCloseTo(area.width / 2, -1);
  });

  it('is empty without people or room', () => {
    expect(gridBoxes({ width: 800, height: 600 }, 0)).toEqual([]);
    expect(gridBoxes({ width: 0, height: 600 }, 3)).toEqual([]);
  });

  it('has room for at least one and at most a page of people', () => {
    expect(pageCapacity({ width: 50, height: 50 })).toBe(1);
    expect(pageCapacity({ width: 9000, height: 9000 })).toBe(MAX_TILES_PER_PAGE);
  });
});

describe('the stage', () => {
  it.each(AREAS)('leaves no overlap with its strip in $width × $height', (area) => {
    for (const count of [0, 1, 3, 12, 60]) {
      const { stage, strip, capacity } = stageLayout(area, count);
      expect(strip).toHaveLength(Math.min(count, capacity));
      expectApartAndInside([stage, ...strip], area);
    }
  });

  it('takes most of the area', () => {
    const area = { width: 1248, height: 640 };
    const { stage } = stageLayout(area, 5);
    expect(stage.width * stage.height).toBeGreaterThan(area.width * area.height * 0.75);
  });
});

describe('the board', () => {
  const area = { width: 1248, height: 640 };

  it('shows everybody in a grid while nobody shares', () => {
    const board = layBoard(meetingOf(people(4)), area);
    expect(board.tiles.map((tile) => tile.place)).toEqual(['grid', 'grid', 'grid', 'grid']);
    expect(board.pages).toBe(1);
  });

  it('puts a shared screen on the stage and everybody into the strip', () => {
    const sharing = person('p9', { screen: { key: 'TR_1', paused: false } });
    const board = layBoard(meetingOf([...people(2), sharing]), area);
    expect(board.tiles[0]).toMatchObject({ key: 'screen:p9', place: 'stage' });
    expect(board.tiles.slice(1).map((tile) => tile.key)).toEqual(['camera:p0', 'camera:p1', 'camera:p9']);
  });

  it('puts a pinned person on the stage and not into the strip as well', () => {
    const meeting = reduceMeeting(meetingOf(people(3)), { type: 'pin', identity: 'p2' });
    expect(layBoard(meeting, area).tiles.map((tile) => `${tile.place} ${tile.key}`)).toEqual([
      'stage camera:p2',
      'strip camera:p0',
      'strip camera:p1',
    ]);
  });

  it('prefers the screen of somebody else to one’s own', () => {
    const own = person('me', { isSelf: true, screen: { key: 'a', paused: false } });
    const other = person('other', { screen: { key: 'b', paused: false } });
    expect(layBoard(meetingOf([own, other]), area).tiles[0]?.key).toBe('screen:other');
    expect(layBoard(meetingOf([own]), area).tiles[0]?.key).toBe('screen:me');
  });

  it('spreads a crowd over pages that together show everybody once', () => {
    let meeting = meetingOf(people(60));
    const first = layBoard(meeting, area);
    meeting = reduceMeeting(meeting, { type: 'capacity', capacity: first.capacity });
    const shown = Array.from({ length: first.pages }, (_, page) =>
      layBoard(reduceMeeting(meeting, { type: 'page', page }), area).tiles.map((tile) => tile.key),
    ).flat();
    expect(first.pages).toBe(Math.ceil(60 / first.capacity));
    expect(new Set(shown).size).toBe(60);
    expect(shown).toHaveLength(60);
  });

  it('keeps a tile’s key when it moves from the grid to the strip', () => {
    const before = layBoard(meetingOf(people(3)), area).tiles.map((tile) => tile.key);
    const meeting = meetingOf([...people(3), person('s', { screen: { key: 'TR', paused: false } })]);
    expect(layBoard(meeting, area).tiles.map((tile) => tile.key)).toEqual(expect.arrayContaining(before));
  });
});
