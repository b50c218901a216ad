/**
 * Reads the SDK's room and says who is there, as plain values. Also remembers which key names which track.
 */

import {
  ConnectionQuality,
  ParticipantKind,
  RemoteTrack,
  Track,
  type Participant,
  type Room,
  type TrackPublication,
} from 'livekit-client';
import type { Own } from '../model/meeting';
import type { Person, Picture, Quality } from '../model/people';

/** livekit_models.proto, `TrackSource`, as listed in permissions. */
const SOURCE_NUMBERS = { camera: 1, microphone: 2, screen: 3 } as const;

export class Roster {
  private readonly keys = new WeakMap<Track, string>();
  private tracks = new Map<string, Track>();
  private nextKey = 1;

  /** Everybody with a place in the meeting, oneself first, then by arrival. Recorders have none. */
  read(room: Room): Person[] {
    this.tracks = new Map();
    const others = [...room.remoteParticipants.values()]
      .filter((participant) => participant.kind !== ParticipantKind.EGRESS)
      .sort((a, b) => (a.joinedAt?.getTime() ?? 0) - (b.joinedAt?.getTime() ?? 0));
    return [room.localParticipant, ...others].map((participant) => this.person(participant));
  }

  track(key: string): Track | undefined {
    return this.tracks.get(key);
  }

  private person(participant: Participant): Person {
    const microphone = publication(participant, Track.Source.Microphone, Track.Kind.Audio);
    return {
      identity: participant.identity,
      name: displayName(participant),
      isSelf: participant.isLocal,
      microphone: microphone ? (microphone.isMuted ? 'off' : 'on') : 'none',
      camera: this.picture(publication(participant, Track.Source.Camera, Track.Kind.Video)),
      screen: this.picture(participant.getTrackPublication(Track.Source.ScreenShare)),
      sounds: participant.isLocal ? [] : this.sounds(participant),
      speaking: participant.isSpeaking && microphone?.isMuted === false,
      quality: quality(participant.connectionQuality),
    };
  }

  private picture(found: TrackPublication | undefined): Picture | null {
    const track = found?.track;
    if (!track || found.isMuted) return null;
    return { key: this.keyOf(track), paused: track.streamState === Track.StreamState.Paused };
  }

  private sounds(participant: Participant): string[] {
    return [...participant.audioTrackPublications.values()].flatMap(({ track }) =>
      track instanceof RemoteTrack ? [this.keyOf(track)] : [],
    );
  }

  private keyOf(track: Track): string {
    let key = this.keys.get(track);
    if (key === undefined) {
      key = `${track.sid ?? track.kind}.${this.nextKey}`;
      this.nextKey += 1;
      this.keys.set(track, key);
    }
    this.tracks.set(key, track);
    return key;
  }
}

/** What the token lets this person send. */
export function permissionsOf(participant: Participant): Pick<Own, 'maySpeak' | 'mayShow' | 'mayShare' | 'mayChat'> {
  const granted = participant.permissions;
  if (!granted) return { maySpeak: true, mayShow: true, mayShare: true, mayChat: true };
  const sources: readonly number[] = granted.canPublishSources;
  const may = (source: number): boolean => granted.canPublish && (sources.length === 0 || sources.includes(source));
  return {
    maySpeak: may(SOURCE_NUMBERS.microphone),
    mayShow: may(SOURCE_NUMBERS.camera),
    mayShare: may(SOURCE_NUMBERS.screen),
    mayChat: granted.canPublishData,
  };
}

/** What others call a person: their name, or the identity of those who gave none. */
export function displayName({ name, identity }: Participant): string {
  return name === undefined || name === '' ? identity : name;
}

/** By source; publishers that name none (robots, phones on a gateway) are found by kind. */
function publication(participant: Participant, source: Track.Source, kind: Track.Kind): TrackPublication | undefined {
  return (
    participant.getTrackPublication(source) ??
    participant.getTrackPublications().find((found) => found.source === Track.Source.Unknown && found.kind === kind)
  );
}

function quality(found: ConnectionQuality): Quality {
  switch (found) {
    case ConnectionQuality.Excellent:
      return 'excellent';
    case ConnectionQuality.Good:
      return 'good';
    case ConnectionQuality.Poor:
      return 'poor';
    case ConnectionQuality.Lost:
      return 'lost';
    case ConnectionQuality.Unknown:
      return 'unknown';
  }
}
