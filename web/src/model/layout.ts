/**
 * Geometry of the meeting: how many tiles fit, how large they are and where they stand. Pixels in, pixels out.
 */

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Box extends Size {
  readonly x: number;
  readonly y: number;
}

export const GAP = 10;
/** A tile may be as tall as this or as wide as that; between them it takes the shape that fills the space best. */
const NARROWEST = 0.8;
const WIDEST = 16 / 9;
/** Below this a face is no longer a face. */
const MIN_TILE: Size = { width: 148, height: 104 };
/** More pictures at once cost the decoder more than they tell the eye. */
export const MAX_TILES_PER_PAGE = 25;

/** How many tiles fit into an area at a size worth looking at; at least one. */
export function pageCapacity(area: Size): number {
  const columns = Math.floor((area.width + GAP) / (MIN_TILE.width + GAP));
  const rows = Math.floor((area.height + GAP) / (MIN_TILE.height + GAP));
  return Math.min(MAX_TILES_PER_PAGE, Math.max(1, columns) * Math.max(1, rows));
}

/** Boxes for `count` tiles: equal, centred, as large as the area allows; the last row is centred too. */
export function gridBoxes(area: Size, count: number): Box[] {
  if (count <= 0 || area.width <= 0 || area.height <= 0) return [];
  const { columns, tile } = bestGrid(area, count);
  const rows = Math.ceil(count / columns);
  const top = (area.height - rows * tile.height - (rows - 1) * GAP) / 2;
  return Array.from({ length: count }, (_, i) => {
    const row = Math.floor(i / columns);
    const inRow = row === rows - 1 ? count - row * columns : columns;
    const left = (area.width - inRow * tile.width - (inRow - 1) * GAP) / 2;
    return {
      x: Math.round(left + (i % columns) * (tile.width + GAP)),
      y: Math.round(top + row * (tile.height + GAP)),
      width: Math.floor(tile.width),
      height: Math.floor(tile.height),
    };
  });
}

function bestGrid(area: Size, count: number): { columns: number; tile: Size } {
  let best = { columns: 1, tile: tileFor(area, 1, count) };
  for (let columns = 2; columns <= count; columns += 1) {
    const tile = tileFor(area, columns, Math.ceil(count / columns));
    if (worth(tile) > worth(best.tile)) best = { columns, tile };
  }
  return best;
}

/** Area, less for upright tiles: cameras see wide, and what is cut off at the sides is lost. */
function worth(tile: Size): number {
  return tile.width * tile.height * Math.min(1, Math.sqrt(tile.width / tile.height));
}

function tileFor(area: Size, columns: number, rows: number): Size {
  const width = Math.max(1, (area.width - GAP * (columns - 1)) / columns);
  const height = Math.max(1, (area.height - GAP * (rows - 1)) / rows);
  const shape = Math.min(WIDEST, Math.max(NARROWEST, width / height));
  return width / height > shape ? { width: height * shape, height } : { width, height: width / shape };
}

export interface StageLayout {
  readonly stage: Box;
  readonly strip: readonly Box[];
  /** How many people the strip has room for. */
  readonly capacity: number;
}

const STRIP_WIDTH = 208;
const STRIP_HEIGHT = 112;

/** One large picture and a strip of people: beside it when the area is wide, below it when it is tall. */
export function stageLayout(area: Size, count: number): StageLayout {
  const wide = area.width > area.height * 1.15 && area.width >= 720;
  const capacity = stripCapacity(area, wide);
  const shown = Math.min(count, capacity);
  if (shown === 0) return { stage: { x: 0, y: 0, ...area }, strip: [], capacity };
  return wide ? besideStage(area, shown, capacity) : belowStage(area, shown, capacity);
}

function stripCapacity(area: Size, wide: boolean): number {
  const room = wide ? (area.height + GAP) / (STRIP_WIDTH / WIDEST + GAP) : (area.width + GAP) / (STRIP_HEIGHT + GAP);
  return Math.max(1, Math.floor(room));
}

function besideStage(area: Size, shown: number, capacity: number): StageLayout {
  const height = Math.round(STRIP_WIDTH / WIDEST);
  const stage = { x: 0, y: 0, width: Math.max(1, area.width - STRIP_WIDTH - GAP), height: area.height };
  const top = Math.max(0, (area.height - shown * height - (shown - 1) * GAP) / 2);
  const strip = Array.from({ length: shown }, (_, i) => ({
    x: area.width - STRIP_WIDTH,
    y: Math.round(top + i * (height + GAP)),
    width: STRIP_WIDTH,
    height,
  }));
  return { stage, strip, capacity };
}

function belowStage(area: Size, shown: number, capacity: number): StageLayout {
  const width = Math.min(Math.round(STRIP_HEIGHT * WIDEST), (area.width - GAP * (shown - 1)) / shown);
  const stage = { x: 0, y: 0, width: area.width, height: Math.max(1, area.height - STRIP_HEIGHT - GAP) };
  const left = Math.max(0, (area.width - shown * width - (shown - 1) * GAP) / 2);
  const strip = Array.from({ length: shown }, (_, i) => ({
    x: Math.round(left + i * (width + GAP)),
    y: area.height - STRIP_HEIGHT,
    width: Math.floor(width),
    height: STRIP_HEIGHT,
  }));
  return { stage, strip, capacity };
}
