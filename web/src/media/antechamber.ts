/**
 * Runs the lobby: opens and closes devices as the person wishes, and takes them along into the meeting.
 */

import { admit, EntryError } from '../entry';
import { joinName, newLobby, reduceLobby, type Lobby, type LobbyAction, type SourceKind } from '../model/lobby';
import type { Route } from '../model/route';
import { trouble, type Trouble } from '../model/trouble';
import type { LobbyPort } from '../ports';
import { Store } from '../store';
import { DeviceError, listDevices, onDevicesChanged, openBoth, openDevice, watchLevel } from './capture';
import type { Luggage } from './luggage';
import type { Session } from './session';
import { loadPreferences, savePreferences } from './storage';

/** The SDK is large: it loads while the person looks at the lobby. */
const loadSession = async (): Promise<typeof import('./session')> => import('./session');
const loadFailure = async (): Promise<typeof import('./failure')> => import('./failure');

export class Antechamber implements LobbyPort {
  readonly store: Store<Lobby, LobbyAction>;
  private readonly tracks: Record<SourceKind, MediaStreamTrack | null> = { camera: null, microphone: null };
  private readonly aborter = new AbortController();
  private readonly stopListening: () => void;

  constructor(
    private readonly route: Route,
    private readonly onJoined: (session: Session) => void,
  ) {
    const preferences = loadPreferences();
    this.store = new Store(newLobby(route.room, preferences, route.token !== ''), reduceLobby);
    this.stopListening = onDevicesChanged(() => void this.list());
  }

  get camera(): MediaStreamTrack | null {
    return this.tracks.camera;
  }

  /** Opens what the person had switched on last time, with one question for both. */
  async open(): Promise<void> {
    // A missing SDK is reported when joining, where something can be done about it.
    loadSession().catch(() => undefined);
    const { camera, microphone } = this.store.state;
    if (camera.wanted && microphone.wanted) await this.openTogether(camera.deviceId, microphone.deviceId);
    else await Promise.all([this.apply('camera'), this.apply('microphone')]);
    await this.list();
  }

  /** Ends the lobby; devices that went along into the meeting stay on. */
  close(): void {
    this.aborter.abort();
    this.stopListening();
    this.release('camera');
    this.release('microphone');
  }

  watchMicrophone(report: (level: number) => void): () => void {
    const track = this.tracks.microphone;
    return track ? watchLevel(track, report) : () => undefined;
  }

  async want(kind: SourceKind, wanted: boolean): Promise<void> {
    this.store.dispatch({ type: 'want', kind, wanted });
    savePreferences(kind === 'camera' ? { wantCamera: wanted } : { wantMicrophone: wanted });
    await this.apply(kind);
    await this.list();
  }

  async choose(kind: SourceKind, deviceId: string): Promise<void> {
    this.store.dispatch({ type: 'choose', kind, deviceId });
    savePreferences(kind === 'camera' ? { cameraId: deviceId } : { microphoneId: deviceId });
    this.release(kind);
    await this.apply(kind);
  }

  async retry(): Promise<void> {
    const failed = (['microphone', 'camera'] as const).filter((kind) => this.store.state[kind].state === 'failed');
    for (const kind of failed) await this.apply(kind);
    await this.list();
  }

  async join(): Promise<void> {
    const { dispatch, state } = this.store;
    if (state.joining) return;
    const name = joinName(state);
    if (name === '' && !state.invited) {
      dispatch({ type: 'refused', trouble: trouble('name_needed') });
      return;
    }
    dispatch({ type: 'joining' });
    savePreferences({ name });
    try {
      const admission = await admit(this.route, name, this.aborter.signal);
      const { Session } = await loadSession();
      const session = await Session.join(this.route.room, admission, this.pack());
      this.tracks.camera = null;
      this.tracks.microphone = null;
      this.onJoined(session);
    } catch (error) {
      if (!this.aborter.signal.aborted) dispatch({ type: 'refused', trouble: await explain(error) });
    }
  }

  private pack(): Luggage {
    const { state } = this.store;
    return {
      camera: this.tracks.camera,
      microphone: this.tracks.microphone,
      cameraId: state.camera.deviceId,
      microphoneId: state.microphone.deviceId,
      speakerId: loadPreferences().speakerId,
    };
  }

  private async openTogether(cameraId: string, microphoneId: string): Promise<void> {
    const { dispatch } = this.store;
    dispatch({ type: 'starting', kind: 'camera' });
    dispatch({ type: 'starting', kind: 'microphone' });
    const both = await openBoth(cameraId, microphoneId);
    if (both) {
      this.keep('camera', both[0]);
      this.keep('microphone', both[1]);
    } else {
      await this.apply('microphone');
      await this.apply('camera');
    }
  }

  /** Makes a device what the person wants it to be. */
  private async apply(kind: SourceKind): Promise<void> {
    const { dispatch } = this.store;
    const { wanted, deviceId } = this.store.state[kind];
    if (!wanted) {
      this.release(kind);
      dispatch({ type: 'stopped', kind });
      return;
    }
    if (this.tracks[kind]) return;
    dispatch({ type: 'starting', kind });
    try {
      this.keep(kind, await openDevice(kind, deviceId));
    } catch (error) {
      const found = error instanceof DeviceError ? error.trouble : trouble('device_failed');
      dispatch({ type: 'failed', kind, trouble: found });
    }
  }

  private keep(kind: SourceKind, track: MediaStreamTrack): void {
    // While the browser was asking, the person may have changed their mind or left.
    if (this.aborter.signal.aborted || !this.store.state[kind].wanted) {
      track.stop();
      this.store.dispatch({ type: 'stopped', kind });
      return;
    }
    this.tracks[kind]?.stop();
    this.tracks[kind] = track;
    track.addEventListener('ended', () => {
      this.lost(kind, track);
    });
    this.store.dispatch({ type: 'started', kind, deviceId: track.getSettings().deviceId ?? '' });
  }

  /** The device was unplugged, or the permission withdrawn. */
  private lost(kind: SourceKind, track: MediaStreamTrack): void {
    if (this.tracks[kind] !== track) return;
    this.tracks[kind] = null;
    this.store.dispatch({ type: 'failed', kind, trouble: trouble('device_gone') });
  }

  private release(kind: SourceKind): void {
    this.tracks[kind]?.stop();
    this.tracks[kind] = null;
  }

  private async list(): Promise<void> {
    this.store.dispatch({ type: 'devices', devices: await listDevices() });
  }
}

async function explain(error: unknown): Promise<Trouble> {
  if (error instanceof EntryError) return error.trouble;
  try {
    return (await loadFailure()).connectTrouble(error);
  } catch {
    // Not even the rest of the page could be loaded.
    return trouble('server_unreachable');
  }
}
