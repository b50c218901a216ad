/**
 * Everything that can go wrong before and during a meeting, in words for people: what happened, and what to do.
 * Codes are stable; where the server has a code of its own it is shown unchanged.
 */

export interface Trouble {
  readonly code: string;
  readonly title: string;
  readonly advice: string;
}

export type TroubleCode = keyof typeof WORDS;

const WORDS = {
  insecure_context: [
    'This page was opened over an insecure address',
    'Browsers allow cameras and microphones only over https:// or on localhost. Open the secure address, or join as a listener.',
  ],
  devices_unsupported: [
    'This browser offers no camera or microphone',
    'Use a current Firefox, Chrome, Edge or Safari, or join as a listener.',
  ],
  permission_denied: [
    'The browser may not use your camera or microphone',
    'Allow it with the icon beside the address, then try again. You can also join as a listener.',
  ],
  permission_dismissed: [
    'The question about camera and microphone was closed without an answer',
    'Try again and choose “Allow”.',
  ],
  camera_missing: ['No camera was found', 'Plug one in and try again, or join without video.'],
  microphone_missing: ['No microphone was found', 'Plug one in and try again, or join without sound.'],
  camera_busy: [
    'Your camera is in use elsewhere',
    'Close the other program or tab that uses it, then try again.',
  ],
  microphone_busy: [
    'Your microphone is in use elsewhere',
    'Close the other program or tab that uses it, then try again.',
  ],
  device_gone: [
    'The chosen device is no longer there',
    'Choose another camera or microphone from the list.',
  ],
  device_failed: [
    'The camera or microphone could not be started',
    'Unplug it and plug it in again, or choose another one.',
  ],
  share_denied: [
    'The screen was not shared',
    'Choose a window and confirm. On some systems the browser first needs permission to record the screen.',
  ],
  share_failed: ['The screen could not be shared', 'Try again, or share a single window instead.'],
  server_unreachable: [
    'The server cannot be reached',
    'Check your network connection, then try again. If others have the same trouble, the server may be down.',
  ],
  server_error: ['The server had a problem', 'Wait a moment and try again.'],
  server_busy: ['The server takes no more people right now', 'Wait a moment and try again.'],
  invitation_needed: [
    'This server admits people by invitation',
    'Open the invitation link that you were sent. If you have none, ask the host for one.',
  ],
  token_refused: [
    'The server did not accept your invitation',
    'It may have expired or belong to another meeting. Ask the host for a new link.',
  ],
  media_blocked: [
    'No path for sound and picture was found',
    'A firewall or VPN may block it. Try another network, or turn the VPN off.',
  ],
  connect_timeout: ['The server did not answer in time', 'Check your network connection, then try again.'],
  publish_refused: [
    'You may not send this in this meeting',
    'The host decides who may speak, show video or share a screen.',
  ],
  chat_failed: ['Your message was not sent', 'It is still in the box. Try again in a moment.'],
  room_needed: ['Choose a room', 'Type the name of a room to join it.'],
  name_needed: ['Tell us your name', 'Others see it on your tile.'],
  unexpected: ['Something went wrong', 'Try again. If it happens again, tell the host what you did.'],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

export function trouble(code: TroubleCode): Trouble {
  const [title, advice] = WORDS[code];
  return { code, title, advice };
}

/** What a browser says when a device cannot be opened, by the name of its exception. */
export function deviceTrouble(error: unknown, wanted: 'camera' | 'microphone'): Trouble {
  const dismissed = /dismiss/i.test(field(error, 'message'));
  const found = DEVICE_FAILURES[field(error, 'name')] ?? 'failed';
  switch (found) {
    case 'denied':
      return trouble(dismissed ? 'permission_dismissed' : 'permission_denied');
    case 'missing':
    case 'busy':
      return trouble(`${wanted}_${found}`);
    case 'gone':
      return trouble('device_gone');
    case 'unsupported':
      return trouble('devices_unsupported');
    case 'failed':
      return trouble('device_failed');
  }
}

/** Names of exceptions of `getUserMedia`, today's and those of older browsers. */
const DEVICE_FAILURES: Readonly<Record<string, 'denied' | 'missing' | 'busy' | 'gone' | 'unsupported'>> = {
  NotAllowedError: 'denied',
  PermissionDeniedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  DevicesNotFoundError: 'missing',
  NotReadableError: 'busy',
  TrackStartError: 'busy',
  AbortError: 'busy',
  OverconstrainedError: 'gone',
  TypeError: 'unsupported',
};

/** What went wrong while sharing a screen; null when the person simply changed their mind. */
export function shareTrouble(error: unknown): Trouble | null {
  const denied = field(error, 'name') === 'NotAllowedError';
  if (denied && /system/i.test(field(error, 'message'))) return trouble('share_denied');
  return denied ? null : trouble('share_failed');
}

/** A refusal of the server's HTTP interface: problem details (RFC 9457) with a `code`, or only a status. */
export function refusalTrouble(status: number, body: unknown): Trouble {
  const code = field(body, 'code');
  const general = trouble(refusalCode(status));
  return {
    code: code === '' ? general.code : code,
    title: field(body, 'title') || general.title,
    advice: field(body, 'detail') || general.advice,
  };
}

function refusalCode(status: number): TroubleCode {
  if (status === 404 || status === 405) return 'invitation_needed';
  if (status === 401 || status === 403) return 'token_refused';
  if (status === 429 || status === 503) return 'server_busy';
  return status >= 500 ? 'server_error' : 'unexpected';
}

function field(value: unknown, key: string): string {
  if (typeof value !== 'object' || value === null) return '';
  const found: unknown = Reflect.get(value, key);
  return typeof found === 'string' ? found : '';
}
