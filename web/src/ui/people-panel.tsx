/**
 * Who is here: everybody by name, with what they have switched on.
 */

import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { initials, tint } from '../model/format';
import type { Person } from '../model/people';
import { useFocusOnMount } from './hooks';
import { Icon } from './icon';
import { Panel } from './panel';

export function PeoplePanel({ people }: { readonly people: readonly Person[] }): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  useFocusOnMount(list);
  return (
    <Panel kind="people" title={`People (${people.length})`}>
      <div ref={list} class="roster" role="region" aria-label="Everyone in the room" tabIndex={0}>
        <ul>
          {people.map((person) => (
            <Entry key={person.identity} person={person} />
          ))}
        </ul>
      </div>
    </Panel>
  );
}

function Entry({ person }: { readonly person: Person }): JSX.Element {
  const muted = person.microphone !== 'on';
  return (
    <li class="roster-entry" data-person={person.identity}>
      <span class={`avatar small tint-${tint(person.identity)}`} aria-hidden="true">
        {initials(person.name)}
      </span>
      <span class="roster-name">
        {person.name}
        {person.isSelf && <span class="hint"> (you)</span>}
        {person.screen && <span class="hint roster-fact">shares a screen</span>}
      </span>
      <span class="visually-hidden">
        {muted ? 'microphone off' : 'microphone on'}, {person.camera ? 'camera on' : 'camera off'}
      </span>
      <span class={muted ? 'roster-icon off' : 'roster-icon'}>
        <Icon name={muted ? 'microphone_off' : 'microphone'} />
      </span>
      <span class={person.camera ? 'roster-icon' : 'roster-icon off'}>
        <Icon name={person.camera ? 'camera' : 'camera_off'} />
      </span>
    </li>
  );
}
