/**
 * The SDK's errors as the page's troubles.
 */

import { ConnectionError, ConnectionErrorReason, LivekitError } from 'livekit-client';
import { endingFromReason, endingWords } from '../model/ending';
import { deviceTrouble, trouble, type Trouble } from '../model/trouble';

export function connectTrouble(error: unknown): Trouble {
  if (!(error instanceof ConnectionError)) return trouble('unexpected');
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return trouble('token_refused');
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.WebSocket:
    case ConnectionErrorReason.ServiceNotFound:
      return trouble('server_unreachable');
    case ConnectionErrorReason.Timeout:
      return trouble('connect_timeout');
    case ConnectionErrorReason.InternalError:
      return trouble(/pc connection|peer ?connection/i.test(error.message) ? 'media_blocked' : 'server_error');
    case ConnectionErrorReason.LeaveRequest:
      return endingTrouble(error.context);
    case ConnectionErrorReason.Cancelled:
      return trouble('unexpected');
    default:
      return trouble('unexpected');
  }
}

/** Why one's own camera or microphone could not be switched on in the meeting. */
export function publishTrouble(error: unknown, kind: 'camera' | 'microphone'): Trouble {
  if (error instanceof DOMException || error instanceof TypeError) return deviceTrouble(error, kind);
  return trouble(error instanceof LivekitError ? 'publish_refused' : 'device_failed');
}

function endingTrouble(context: unknown): Trouble {
  const ending = endingFromReason(typeof context === 'number' ? context : undefined);
  const { title, detail } = endingWords(ending);
  return { code: ending, title, advice: detail };
}
