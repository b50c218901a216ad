/**
 * Where the page was opened: which room, and whether the link carried a token.
 * Comes in: a path and a fragment. Goes out: a `Route`. Never reads the address bar itself.
 */

export interface Route {
  /** Empty when the page was opened without a room. */
  readonly room: string;
  /** From the fragment, so that it never reaches a server log; empty when there was none. */
  readonly token: string;
}

/** Characters of a display name: what fits on a tile; the server refuses longer ones. */
export const MAX_NAME_LENGTH = 64;
/** Characters of a room's name; the server refuses longer ones. */
export const MAX_ROOM_LENGTH = 128;

/** A typed room name; slashes would read as further steps of the path. */
export function cleanRoom(text: string): string {
  return cleanName(text.replace(/[/\\]+/g, ' '), MAX_ROOM_LENGTH);
}

export function parseRoute(path: string, fragment: string): Route {
  const match = /\/meet\/([^/]+)\/?$/.exec(path);
  return {
    room: cleanRoom(decode(match?.[1] ?? '')),
    token: new URLSearchParams(fragment.replace(/^#/, '')).get('token')?.trim() ?? '',
  };
}

/** The path of a room, relative to the root of the site. */
export function roomPath(room: string): string {
  return `meet/${encodeURIComponent(room)}`;
}

/** Control characters out, white space collapsed, length bounded. */
export function cleanName(text: string, length = MAX_NAME_LENGTH): string {
  const printable = text.replace(/\p{Cc}+/gu, ' ');
  return Array.from(printable.replace(/\s+/g, ' ').trim()).slice(0, length).join('');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
