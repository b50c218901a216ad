import { describe, expect, it } from 'vitest';
import { isListener, joinName, lobbyTroubles, newLobby, reduceLobby, type Lobby, type LobbyAction } from '../../src/model/lobby';
import { DEFAULT_PREFERENCES } from '../../src/model/preferences';
import { firstScreen, nextScreen } from '../../src/model/screen';
import { trouble } from '../../src/model/trouble';

const lobbyAfter = (...actions: readonly LobbyAction[]): Lobby =>
  actions.reduce(reduceLobby, newLobby('garden', DEFAULT_PREFERENCES, false));

describe('the lobby', () => {
  it('begins with the wishes of last time and nothing running', () => {
    const lobby = newLobby('garden', { ...DEFAULT_PREFERENCES, name: 'Ana', wantCamera: false, microphoneId: 'm' }, false);
    expect(lobby).toMatchObject({ name: 'Ana', camera: { wanted: false, state: 'off' }, microphone: { deviceId: 'm' } });
  });

  it('makes a listener of whoever sends nothing', () => {
    expect(isListener(lobbyAfter())).toBe(true);
    expect(isListener(lobbyAfter({ type: 'started', kind: 'microphone', deviceId: 'm' }))).toBe(false);
    const stopped = lobbyAfter({ type: 'started', kind: 'camera', deviceId: 'c' }, { type: 'stopped', kind: 'camera' });
    expect(isListener(stopped)).toBe(true);
  });

  it('takes a name without its outer blanks', () => {
    expect(joinName(lobbyAfter({ type: 'name', name: '  Ana ' }))).toBe('Ana');
  });

  it('tells the same trouble of two devices once', () => {
    const denied = trouble('permission_denied');
    const lobby = lobbyAfter(
      { type: 'failed', kind: 'camera', trouble: denied },
      { type: 'failed', kind: 'microphone', trouble: denied },
    );
    expect(lobbyTroubles(lobby)).toEqual([denied]);
  });

  it('forgets a device’s trouble when it is tried again or no longer wanted', () => {
    const failed: LobbyAction = { type: 'failed', kind: 'camera', trouble: trouble('camera_busy') };
    expect(lobbyTroubles(lobbyAfter(failed, { type: 'starting', kind: 'camera' }))).toEqual([]);
    expect(lobbyTroubles(lobbyAfter(failed, { type: 'want', kind: 'camera', wanted: false }))).toEqual([]);
  });

  it('can be left by joining only once, until it was refused', () => {
    expect(lobbyAfter({ type: 'joining' }).joining).toBe(true);
    const refused = lobbyAfter({ type: 'joining' }, { type: 'refused', trouble: trouble('token_refused') });
    expect(refused).toMatchObject({ joining: false, trouble: { code: 'token_refused' } });
  });
});

describe('the screens', () => {
  it('begin at the welcome without a room, in the lobby with one', () => {
    expect(firstScreen('')).toEqual({ at: 'welcome' });
    expect(firstScreen('garden')).toEqual({ at: 'lobby' });
  });

  it('lead from the lobby through the meeting to the end and back', () => {
    const meeting = nextScreen<number>(firstScreen('garden'), { type: 'joined', stay: 7 });
    expect(meeting).toEqual({ at: 'meeting', stay: 7 });
    const ended = nextScreen(meeting, { type: 'ended', ending: 'left' });
    expect(ended).toEqual({ at: 'ended', ending: 'left' });
    expect(nextScreen(ended, { type: 'rejoin' })).toEqual({ at: 'lobby' });
  });

  it('ignore what makes no sense where they are', () => {
    const lobby = firstScreen<number>('garden');
    expect(nextScreen(lobby, { type: 'ended', ending: 'left' })).toBe(lobby);
    expect(nextScreen(lobby, { type: 'rejoin' })).toBe(lobby);
  });
});
