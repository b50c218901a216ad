/**
 * One person, or the screen they share: picture or initials, name, microphone, connection, and a button to enlarge.
 * Tells tests and style sheets its facts by data attributes.
 */

import type { JSX } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { TileSpec } from '../model/board';
import { initials, tint } from '../model/format';
import type { Person, Quality } from '../model/people';
import { useMeetingPort } from '../ports';
import { Icon } from './icon';

interface Props {
  readonly tile: TileSpec;
  readonly pinned: boolean;
}

export function Tile({ tile, pinned }: Props): JSX.Element {
  const { box, person, kind, place } = tile;
  const style = { transform: `translate(${box.x}px, ${box.y}px)`, width: `${box.width}px`, height: `${box.height}px` };
  const picture = kind === 'screen' ? person.screen : person.camera;
  // Most updates move nothing and concern one person: everybody else's content is kept as it is.
  const content = useMemo(
    () => (
      <>
        {picture ? <PictureView key={picture.key} person={person} kind={kind} /> : <Avatar person={person} />}
        {picture?.paused && <p class="tile-paused">The network is too weak for this picture</p>}
        <Label person={person} kind={kind} />
        <PinButton person={person} pinned={pinned} />
      </>
    ),
    [person, picture, kind, pinned],
  );
  return (
    <li
      class={`tile tint-${tint(person.identity)}`}
      style={style}
      aria-label={tileWords(person, kind)}
      data-participant={person.identity}
      data-self={person.isSelf}
      data-kind={kind}
      data-place={place}
      data-speaking={kind === 'camera' && person.speaking}
      data-microphone={person.microphone}
      data-camera={person.camera ? 'on' : 'off'}
      data-quality={person.quality}
    >
      {content}
    </li>
  );
}

function tileWords(person: Person, kind: TileSpec['kind']): string {
  const who = person.isSelf ? `${person.name} (you)` : person.name;
  if (kind === 'screen') return `Screen of ${who}`;
  const facts = [
    who,
    person.microphone === 'on' ? 'microphone on' : 'microphone off',
    person.camera ? 'camera on' : 'camera off',
    QUALITY_WORDS[person.quality],
  ];
  return facts.filter((fact) => fact !== '').join(', ');
}

const QUALITY_WORDS: Readonly<Record<Quality, string>> = {
  excellent: '',
  good: '',
  unknown: '',
  poor: 'weak connection',
  lost: 'connection lost',
};

function PictureView({ person, kind }: { readonly person: Person; readonly kind: TileSpec['kind'] }): JSX.Element {
  const port = useMeetingPort();
  const ref = useRef<HTMLVideoElement>(null);
  const key = (kind === 'screen' ? person.screen : person.camera)?.key ?? '';
  useEffect(() => (ref.current ? port.showPicture(key, ref.current) : undefined), [port, key]);
  const mirrored = person.isSelf && kind === 'camera';
  return (
    <video
      ref={ref}
      class={`picture ${kind}${mirrored ? ' mirrored' : ''}`}
      data-track={key}
      autoplay
      muted
      playsInline
      aria-hidden="true"
    />
  );
}

function Avatar({ person }: { readonly person: Person }): JSX.Element {
  return (
    <div class="avatar" aria-hidden="true">
      {initials(person.name)}
    </div>
  );
}

function Label({ person, kind }: { readonly person: Person; readonly kind: TileSpec['kind'] }): JSX.Element {
  const who = person.isSelf ? `${person.name} (you)` : person.name;
  return (
    <div class="tile-label" aria-hidden="true">
      {kind === 'screen' && <Icon name="screen" />}
      {kind === 'camera' && person.microphone !== 'on' && <Icon name="microphone_off" />}
      <span class="tile-name">{kind === 'screen' ? `${who}: screen` : who}</span>
      <Bars quality={person.quality} />
    </div>
  );
}

/** Connection quality as three bars. */
function Bars({ quality }: { readonly quality: Quality }): JSX.Element | null {
  if (quality === 'unknown') return null;
  return (
    <svg class={`bars ${quality}`} viewBox="0 0 14 12" focusable="false">
      <rect x="0" y="8" width="3.5" height="4" rx="1" />
      <rect x="5.250" y="4.5" width="3.5" height="7.5" rx="1" />
      <rect x="10.5" y="0" width="3.5" height="12" rx="1" />
    </svg>
  );
}

function PinButton({ person, pinned }: { readonly person: Person; readonly pinned: boolean }): JSX.Element {
  const { store } = useMeetingPort();
  const label = pinned ? `Show ${person.name} at usual size` : `Enlarge ${person.name}`;
  return (
    <button
      type="button"
      class="tile-pin"
      aria-label={label}
      title={label}
      onClick={() => {
        store.dispatch({ type: 'pin', identity: pinned ? null : person.identity });
      }}
    >
      <Icon name={pinned ? 'shrink' : 'enlarge'} />
    </button>
  );
}
