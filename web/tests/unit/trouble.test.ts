import { describe, expect, it } from 'vitest';
import { endingFromReason, endingWords } from '../../src/model/ending';
import { deviceTrouble, refusalTrouble, shareTrouble } from '../../src/model/trouble';

describe('a device that does not open', () => {
  it.each([
    ['NotAllowedError', 'Permission denied', 'permission_denied'],
    ['NotAllowedError', 'Permission dismissed', 'permission_dismissed'],
    ['SecurityError', '', 'permission_denied'],
    ['NotFoundError', '', 'camera_missing'],
    ['NotReadableError', 'Could not start video source', 'camera_busy'],
    ['AbortError', '', 'camera_busy'],
    ['OverconstrainedError', '', 'device_gone'],
    ['TypeError', '', 'devices_unsupported'],
    ['Whatever', '', 'device_failed'],
  ])('%s “%s” is %s', (name, message, code) => {
    expect(deviceTrouble({ name, message }, 'camera').code).toBe(code);
  });

  it('is called by its kind', () => {
    expect(deviceTrouble({ name: 'NotReadableError' }, 'microphone').code).toBe('microphone_busy');
  });

  it('may even throw something that is no error', () => {
    expect(deviceTrouble('no', 'camera').code).toBe('device_failed');
    expect(deviceTrouble(null, 'camera').code).toBe('device_failed');
  });
});

describe('a screen that is not shared', () => {
  it('is no trouble when the person closed the picker', () => {
    expect(shareTrouble({ name: 'NotAllowedError', message: 'Permission denied' })).toBeNull();
  });

  it('is trouble when the system forbids it', () => {
    expect(shareTrouble({ name: 'NotAllowedError', message: 'Permission denied by system' })?.code).toBe('share_denied');
    expect(shareTrouble({ name: 'NotReadableError' })?.code).toBe('share_failed');
  });
});

describe('a refusal of the server', () => {
  it('is shown in the words of its problem details', () => {
    const body = { code: 'room_locked', title: 'The room is locked', detail: 'Ask the host.' };
    expect(refusalTrouble(403, body)).toEqual({ code: 'room_locked', title: 'The room is locked', advice: 'Ask the host.' });
  });

  it.each([
    [404, 'invitation_needed'],
    [401, 'token_refused'],
    [403, 'token_refused'],
    [429, 'server_busy'],
    [503, 'server_busy'],
    [500, 'server_error'],
    [418, 'unexpected'],
  ])('with status %i and no body is %s', (status, code) => {
    const found = refusalTrouble(status, null);
    expect(found.code).toBe(code);
    expect(found.advice).not.toBe('');
  });

  it('keeps its own words where the body has only some', () => {
    const found = refusalTrouble(503, { code: 'room_full' });
    expect(found.code).toBe('room_full');
    expect(found.title).toBe('The server takes no more people right now');
  });
});

describe('the end of a meeting', () => {
  it.each([
    [undefined, 'connection_lost'],
    [1, 'left'],
    [2, 'duplicate'],
    [3, 'server_shutdown'],
    [4, 'removed'],
    [5, 'closed'],
    [10, 'closed'],
    [14, 'connection_lost'],
    [15, 'media_failed'],
    [999, 'unknown'],
  ])('with reason %s is %s', (reason, ending) => {
    expect(endingFromReason(reason)).toBe(ending);
  });

  it('does not invite back whoever was removed', () => {
    expect(endingWords('removed').mayRejoin).toBe(false);
    expect(endingWords('connection_lost').mayRejoin).toBe(true);
  });
});
