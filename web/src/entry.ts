/**
 * How the page gets into a room: with the token of the link, or by asking the server's development endpoint.
 * The only file that knows either. Comes in: the address bar and a name. Goes out: an `Admission` or an `EntryError`.
 */

import { parseRoute, roomPath, type Route } from './model/route';
import { refusalTrouble, trouble, type Trouble } from './model/trouble';

export interface Admission {
  /** WebSocket address of the signalling server, always of this page's own origin. */
  readonly url: string;
  readonly token: string;
}

export class EntryError extends Error {
  override readonly name = 'EntryError';

  constructor(readonly trouble: Trouble) {
    super(trouble.title);
  }
}

/**
 * Reads the address and takes the token out of it, so that it is neither seen on a shared screen nor kept in the
 * history. This tab remembers it for a reload.
 */
export function enterRoute(): Route {
  const route = parseRoute(location.pathname, location.hash);
  if (route.room === '') return route;
  if (route.token === '') return { ...route, token: recall(route.room) };
  remember(route.room, route.token);
  history.replaceState(history.state, '', location.pathname);
  return route;
}

/** The document answers at `/` and at `/meet/<room>`: one step up from either is the root of the site. */
export function siteUrl(path: string): URL {
  return new URL(`../${path}`, location.href);
}

export function roomUrl(room: string): URL {
  return siteUrl(roomPath(room));
}

export async function admit(route: Route, name: string, signal: AbortSignal): Promise<Admission> {
  if (route.token !== '') return { url: signallingUrl(), token: route.token };
  const query = new URLSearchParams({ room: route.room, name });
  const response = await request(siteUrl(`api/meeting?${query}`), signal);
  const body = await json(response);
  if (!response.ok) throw new EntryError(refusalTrouble(response.status, body));
  return parseAdmission(body);
}

async function request(url: URL, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { headers: { Accept: 'application/json' }, cache: 'no-store', signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new EntryError(trouble('server_unreachable'));
  }
}

async function json(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function parseAdmission(body: unknown): Admission {
  if (typeof body === 'object' && body !== null && 'token' in body && typeof body.token === 'string' && body.token) {
    return { url: signallingUrl(), token: body.token };
  }
  // A host without the endpoint may answer any path with a page of its own.
  throw new EntryError(trouble('invitation_needed'));
}

function signallingUrl(): string {
  const url = siteUrl('');
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = '';
  return url.href;
}

const TOKEN_KEY = 'conclave.token.';

function remember(room: string, token: string): void {
  try {
    sessionStorage.setItem(TOKEN_KEY + room, token);
  } catch {
    // Without storage a reload needs the link again; nothing else is lost.
  }
}

function recall(room: string): string {
  try {
    return sessionStorage.getItem(TOKEN_KEY + room) ?? '';
  } catch {
    return '';
  }
}
