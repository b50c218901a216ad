/**
 * The door of the house: choose a room.
 */

import type { JSX, TargetedSubmitEvent } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import { cleanRoom, MAX_ROOM_LENGTH } from '../model/route';
import { trouble } from '../model/trouble';
import { Brand } from './brand';
import { useTitle } from './hooks';

export function Welcome({ onChoose }: { readonly onChoose: (room: string) => void }): JSX.Element {
  const [room, setRoom] = useState('');
  const [missing, setMissing] = useState(false);
  const field = useId();
  const input = useRef<HTMLInputElement>(null);
  useTitle('Conclave');
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const name = cleanRoom(room);
    setMissing(name === '');
    if (name === '') input.current?.focus();
    else onChoose(name);
  };
  return (
    <div class="entrance">
      <header class="entrance-head">
        <Brand />
      </header>
      <main class="welcome">
        <h1>A room of your own</h1>
        <p class="lead">Meet, talk and share a screen, straight from the browser. There is nothing to install.</p>
        <form class="welcome-form" onSubmit={submit} noValidate>
          <label for={field}>Room name</label>
          <div class="field-row">
            <input
              ref={input}
              id={field}
              value={room}
              maxLength={MAX_ROOM_LENGTH}
              autocomplete="off"
              spellcheck={false}
              placeholder="for example: garden"
              aria-invalid={missing}
              aria-describedby={`${field}-hint`}
              onInput={(event) => {
                setRoom(event.currentTarget.value);
                setMissing(false);
              }}
            />
            <button type="submit" class="button primary">
              Continue
            </button>
          </div>
          <p id={`${field}-hint`} class={missing ? 'hint wrong' : 'hint'} role="status">
            {missing ? trouble('room_needed').advice : 'Everyone who types the same name meets in the same room.'}
          </p>
        </form>
      </main>
    </div>
  );
}
