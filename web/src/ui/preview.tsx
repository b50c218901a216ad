/**
 * Oneself before the meeting: the camera's picture as a mirror, the microphone's level, and the two switches.
 */

import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { initials, tint } from '../model/format';
import { smoothLevel } from '../model/level';
import { joinName, type Lobby, type Source, type SourceKind } from '../model/lobby';
import type { LobbyPort } from '../ports';
import { Icon, type IconName } from './icon';

interface Props {
  readonly port: LobbyPort;
  readonly lobby: Lobby;
}

export function Preview({ port, lobby }: Props): JSX.Element {
  const name = joinName(lobby);
  return (
    <section class="preview" aria-label="How others will see and hear you">
      <div class={`preview-picture tint-${tint(name)}`}>
        {lobby.camera.state === 'on' ? (
          <Mirror track={port.camera} />
        ) : (
          <div class="avatar" aria-hidden="true">
            {initials(name)}
          </div>
        )}
        <p class="preview-words" role="status">
          {cameraWords(lobby.camera)}
        </p>
        <div class="preview-switches">
          <Switch port={port} source={lobby.microphone} kind="microphone" />
          <Switch port={port} source={lobby.camera} kind="camera" />
        </div>
      </div>
      <Level port={port} source={lobby.microphone} />
    </section>
  );
}

function cameraWords(camera: Source): string {
  if (camera.state === 'starting') return 'Starting the camera… Your browser may ask for permission.';
  return camera.state === 'on' ? '' : 'Your camera is off';
}

function Mirror({ track }: { readonly track: MediaStreamTrack | null }): JSX.Element {
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = ref.current;
    if (video) video.srcObject = track && new MediaStream([track]);
  }, [track]);
  return <video ref={ref} class="mirrored" data-preview="camera" autoplay muted playsInline aria-hidden="true" />;
}

interface SwitchProps {
  readonly port: LobbyPort;
  readonly source: Source;
  readonly kind: SourceKind;
}

function Switch({ port, source, kind }: SwitchProps): JSX.Element {
  const on = source.state === 'on' || source.state === 'starting';
  const icon: IconName = on ? kind : `${kind}_off`;
  return (
    <button
      type="button"
      class={`round ${on ? 'on' : 'off'}`}
      aria-label={`Turn ${kind} ${on ? 'off' : 'on'}`}
      title={`Turn ${kind} ${on ? 'off' : 'on'}`}
      data-switch={kind}
      data-state={source.state}
      onClick={() => void port.want(kind, !on)}
    >
      <Icon name={icon} />
    </button>
  );
}

/** Loud enough to be speech at a usual distance. */
const HEARD = 0.35;

function Level({ port, source }: { readonly port: LobbyPort; readonly source: Source }): JSX.Element {
  const bar = useRef<HTMLDivElement>(null);
  const [heard, setHeard] = useState(false);
  const running = source.state === 'on';
  useEffect(() => {
    setHeard(false);
    if (!running) return;
    let shown = 0;
    return port.watchMicrophone((level) => {
      shown = smoothLevel(shown, level);
      bar.current?.style.setProperty('--level', shown.toFixed(3));
      if (level > HEARD) setHeard(true);
    });
  }, [port, running, source.deviceId]);
  return (
    <div class="level">
      <div class={running ? 'level-track' : 'level-track idle'} aria-hidden="true">
        <div ref={bar} class="level-bar" />
      </div>
      <p class="hint" role="status" data-heard={heard}>
        {running ? (heard ? 'Your microphone works.' : 'Say something to test your microphone.') : 'Your microphone is off.'}
      </p>
    </div>
  );
}
