/**
 * One stay in one meeting, over the LiveKit SDK. The SDK's events become actions of the meeting's state, the port's
 * commands become calls of the SDK. Nothing is drawn here.
 */

import {
  LocalAudioTrack,
  LocalVideoTrack,
  Room,
  RoomEvent,
  Track,
  type Participant,
  type ChatMessage as SdkChatMessage,
  type TextStreamReader,
  type TrackPublication,
} from 'livekit-client';
import type { Admission } from '../entry';
import { MEDIA_KINDS, type DeviceKind, type DeviceList } from '../model/devices';
import { endingFromReason } from '../model/ending';
import { newMeeting, reduceMeeting, type Action, type Meeting, type Own } from '../model/meeting';
import { shareTrouble, trouble, type Trouble } from '../model/trouble';
import type { MeetingPort } from '../ports';
import { Store } from '../store';
import { constraintsOf, listDevices } from './capture';
import { publishTrouble } from './failure';
import type { Luggage } from './luggage';
import { roomOptions, SHARE_OPTIONS } from './options';
import { displayName, permissionsOf, Roster } from './roster';
import { savePreferences } from './storage';

/** The topic of chat in LiveKit's own clients. */
const CHAT_TOPIC = 'lk.chat';
/** Events come in bursts; one reading of the room for all of a moment is enough for eyes. */
const REFRESH_DELAY_MS = 40;

type OwnDevice = 'microphone' | 'camera' | 'share';

export class Session implements MeetingPort {
  readonly store: Store<Meeting, Action>;
  private readonly room: Room;
  private readonly roster = new Roster();
  private refreshTimer: ReturnType<typeof setTimeout> | undefined;
  private leaving = false;

  private constructor(name: string, luggage: Luggage) {
    this.store = new Store(newMeeting(name), reduceMeeting);
    this.room = new Room(roomOptions(luggage));
    this.listen();
  }

  /** Resolves when connected; then sends what the person brought. Throws the SDK's error if it cannot connect. */
  static async join(name: string, admission: Admission, luggage: Luggage): Promise<Session> {
    const session = new Session(name, luggage);
    await session.room.connect(admission.url, admission.token);
    session.refresh();
    void session.unpack(luggage);
    return session;
  }

  showPicture(key: string, element: HTMLVideoElement): () => void {
    return this.attach(key, element);
  }

  playSound(key: string, element: HTMLAudioElement): () => void {
    return this.attach(key, element);
  }

  async toggleMicrophone(): Promise<void> {
    const local = this.room.localParticipant;
    await this.toggle('microphone', async (on) => local.setMicrophoneEnabled(on), microphoneTrouble);
  }

  async toggleCamera(): Promise<void> {
    const local = this.room.localParticipant;
    await this.toggle('camera', async (on) => local.setCameraEnabled(on), cameraTrouble);
  }

  async toggleShare(): Promise<void> {
    const local = this.room.localParticipant;
    await this.toggle('share', async (on) => local.setScreenShareEnabled(on, SHARE_OPTIONS), shareTrouble);
  }

  async sendMessage(text: string): Promise<boolean> {
    const { localParticipant } = this.room;
    try {
      const { id, timestamp } = await localParticipant.sendText(text, { topic: CHAT_TOPIC });
      this.message(id, localParticipant, text, timestamp);
      return true;
    } catch {
      this.complain(trouble('chat_failed'));
      return false;
    }
  }

  devices(): Promise<DeviceList> {
    return listDevices();
  }

  activeDevice(kind: DeviceKind): string {
    return this.room.getActiveDevice(MEDIA_KINDS[kind]) ?? '';
  }

  async chooseDevice(kind: DeviceKind, id: string): Promise<void> {
    try {
      await this.room.switchActiveDevice(MEDIA_KINDS[kind], id);
      savePreferences({ [`${kind}Id`]: id });
    } catch (error) {
      this.complain(kind === 'speaker' ? trouble('device_gone') : publishTrouble(error, kind));
    }
  }

  async startSound(): Promise<void> {
    await this.room.startAudio();
  }

  async leave(): Promise<void> {
    this.leaving = true;
    await this.room.disconnect();
    this.store.dispatch({ type: 'ended', ending: 'left' });
  }

  private listen(): void {
    const { room } = this;
    const { dispatch } = this.store;
    for (const event of ROSTER_EVENTS) room.on(event, this.refreshSoon);
    room
      .on(RoomEvent.Connected, () => {
        dispatch({ type: 'phase', phase: 'connected' });
      })
      .on(RoomEvent.SignalReconnecting, () => {
        dispatch({ type: 'phase', phase: 'resuming' });
      })
      .on(RoomEvent.Reconnecting, () => {
        dispatch({ type: 'phase', phase: 'reconnecting' });
      })
      .on(RoomEvent.Reconnected, () => {
        this.refresh();
        dispatch({ type: 'phase', phase: 'connected' });
      })
      .on(RoomEvent.Disconnected, (reason) => {
        clearTimeout(this.refreshTimer);
        dispatch({ type: 'ended', ending: this.leaving ? 'left' : endingFromReason(reason) });
      })
      .on(RoomEvent.AudioPlaybackStatusChanged, () => {
        dispatch({ type: 'sound_blocked', blocked: !room.canPlaybackAudio });
      })
      .on(RoomEvent.RecordingStatusChanged, (recording) => {
        dispatch({ type: 'recording', recording });
      })
      .on(RoomEvent.TrackMuted, this.noticeHostMute)
      .on(RoomEvent.ChatMessage, this.readLegacyChat);
    room.registerTextStreamHandler(CHAT_TOPIC, (reader, { identity }) => {
      void this.readChat(reader, identity);
    });
  }

  private readonly refreshSoon = (): void => {
    this.refreshTimer ??= setTimeout(() => {
      this.refresh();
    }, REFRESH_DELAY_MS);
  };

  private refresh(): void {
    clearTimeout(this.refreshTimer);
    this.refreshTimer = undefined;
    this.store.dispatch({ type: 'people', people: this.roster.read(this.room) });
    this.refreshOwn();
  }

  /** Devices that are just being switched keep their state until that is done. */
  private refreshOwn(): void {
    const local = this.room.localParticipant;
    const { own } = this.store.state;
    const settled = (device: OwnDevice, on: boolean): Own[OwnDevice] =>
      own[device] === 'starting' ? 'starting' : on ? 'on' : 'off';
    const next: Own = {
      microphone: settled('microphone', local.isMicrophoneEnabled),
      camera: settled('camera', local.isCameraEnabled),
      share: settled('share', local.isScreenShareEnabled),
      ...permissionsOf(local),
    };
    if (Object.entries(next).some(([key, value]) => Reflect.get(own, key) !== value)) {
      this.store.dispatch({ type: 'own', own: next });
    }
  }

  private async toggle(
    device: OwnDevice,
    enable: (on: boolean) => Promise<unknown>,
    explain: (error: unknown) => Trouble | null,
  ): Promise<void> {
    const before = this.store.state.own[device];
    if (before === 'starting') return;
    this.store.dispatch({ type: 'own', own: { [device]: 'starting' } });
    try {
      await enable(before === 'off');
    } catch (error) {
      this.complain(explain(error));
    } finally {
      this.settle(device);
    }
  }

  private settle(device: OwnDevice): void {
    const local = this.room.localParticipant;
    const on = {
      microphone: local.isMicrophoneEnabled,
      camera: local.isCameraEnabled,
      share: local.isScreenShareEnabled,
    };
    this.store.dispatch({ type: 'own', own: { [device]: on[device] ? 'on' : 'off' } });
    this.refresh();
  }

  /** Publishes the devices that already run in the lobby, so that cameras need no second start. */
  private async unpack(luggage: Luggage): Promise<void> {
    const local = this.room.localParticipant;
    const { maySpeak, mayShow } = permissionsOf(local);
    const { camera, microphone } = luggage;
    if (!maySpeak) microphone?.stop();
    if (!mayShow) camera?.stop();
    await Promise.all([
      microphone &&
        maySpeak &&
        this.publish('microphone', new LocalAudioTrack(microphone, constraintsOf('microphone', luggage.microphoneId), false)),
      camera &&
        mayShow &&
        this.publish('camera', new LocalVideoTrack(camera, constraintsOf('camera', luggage.cameraId), false)),
    ]);
  }

  private async publish(device: 'camera' | 'microphone', track: LocalAudioTrack | LocalVideoTrack): Promise<void> {
    const source = device === 'camera' ? Track.Source.Camera : Track.Source.Microphone;
    track.source = source;
    this.store.dispatch({ type: 'own', own: { [device]: 'starting' } });
    try {
      await this.room.localParticipant.publishTrack(track, { source });
    } catch (error) {
      track.stop();
      this.complain(publishTrouble(error, device));
    } finally {
      this.settle(device);
    }
  }

  private readonly noticeHostMute = (publication: TrackPublication, participant: Participant): void => {
    const byOthers = participant.isLocal && this.store.state.own.microphone === 'on';
    if (byOthers && publication.source === Track.Source.Microphone) this.store.dispatch({ type: 'muted_by_host' });
  };

  private async readChat(reader: TextStreamReader, identity: string): Promise<void> {
    try {
      const text = await reader.readAll();
      const sender = this.room.getParticipantByIdentity(identity);
      if (sender) this.message(reader.info.id, sender, text, reader.info.timestamp);
    } catch {
      // The sender left in the middle of the message, or it was longer than the bound: there is nothing to show.
    }
  }

  /** Clients from before text streams send chat packets of their own kind. */
  private readonly readLegacyChat = (message: SdkChatMessage, participant?: Participant): void => {
    if (participant && !participant.isLocal) this.message(message.id, participant, message.message, message.timestamp);
  };

  private message(id: string, sender: Participant, text: string, at: number): void {
    const { identity, isLocal } = sender;
    const name = displayName(sender);
    this.store.dispatch({ type: 'message', message: { id, identity, name, text, at, isSelf: isLocal } });
  }

  private attach(key: string, element: HTMLMediaElement): () => void {
    const track = this.roster.track(key);
    track?.attach(element);
    return () => track?.detach(element);
  }

  private complain(found: Trouble | null): void {
    if (found) this.store.dispatch({ type: 'trouble', trouble: found });
  }
}

const microphoneTrouble = (error: unknown): Trouble => publishTrouble(error, 'microphone');
const cameraTrouble = (error: unknown): Trouble => publishTrouble(error, 'camera');

/** Everything after which the people may look different. */
const ROSTER_EVENTS = [
  RoomEvent.Connected,
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.ParticipantPermissionsChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.TrackStreamStateChanged,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.ActiveSpeakersChanged,
  RoomEvent.ConnectionQualityChanged,
] as const;
