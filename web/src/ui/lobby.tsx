/**
 * The lobby: see and hear oneself, choose devices, say one's name, join. Says what is wrong and what to do.
 */

import type { JSX, TargetedSubmitEvent } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { isListener, lobbyTroubles, type Lobby, type SourceKind } from '../model/lobby';
import { MAX_NAME_LENGTH } from '../model/route';
import type { LobbyPort } from '../ports';
import { useStore } from '../store';
import { Brand } from './brand';
import { DeviceSelect } from './device-select';
import { useTitle } from './hooks';
import { Preview } from './preview';
import { TroubleCard } from './trouble-card';

interface Props {
  readonly port: LobbyPort;
}

export function LobbyScreen({ port }: Props): JSX.Element {
  const lobby = useStore(port.store);
  useTitle(`${lobby.room} · Conclave`);
  return (
    <div class="entrance">
      <header class="entrance-head">
        <Brand />
      </header>
      <main class="lobby">
        <Preview port={port} lobby={lobby} />
        <section class="lobby-card" aria-label="Join the meeting">
          <p class="eyebrow">You are about to enter</p>
          <h1 class="room-name">{lobby.room}</h1>
          <JoinForm port={port} lobby={lobby} />
        </section>
      </main>
    </div>
  );
}

interface PartProps extends Props {
  readonly lobby: Lobby;
}

function JoinForm({ port, lobby }: PartProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    void port.join();
  };
  const nameless = lobby.trouble?.code === 'name_needed';
  useEffect(() => {
    if (nameless) input.current?.focus();
  }, [nameless]);
  return (
    <form class="join-form" onSubmit={submit} noValidate>
      {!lobby.invited && <NameField port={port} lobby={lobby} input={input} wrong={nameless} />}
      <DeviceSelects port={port} lobby={lobby} />
      <LobbyTroubles port={port} lobby={lobby} />
      <button type="submit" class="button primary large" aria-disabled={lobby.joining} data-action="join">
        {lobby.joining ? 'Joining…' : isListener(lobby) ? 'Join as a listener' : 'Join'}
      </button>
      <p class="hint centred">{sendingWords(lobby)}</p>
    </form>
  );
}

function sendingWords(lobby: Lobby): string {
  const camera = lobby.camera.state === 'on';
  const microphone = lobby.microphone.state === 'on';
  if (camera && microphone) return 'Others will see and hear you.';
  if (camera) return 'Others will see you, but not hear you.';
  if (microphone) return 'Others will hear you, but not see you.';
  return 'You will see, hear and write. Others will neither see nor hear you.';
}

interface NameProps extends PartProps {
  readonly input: { current: HTMLInputElement | null };
  readonly wrong: boolean;
}

function NameField({ port, lobby, input, wrong }: NameProps): JSX.Element {
  const field = useId();
  return (
    <div class="field">
      <label for={field}>Your name</label>
      <input
        ref={input}
        id={field}
        name="name"
        value={lobby.name}
        maxLength={MAX_NAME_LENGTH}
        autocomplete="name"
        spellcheck={false}
        placeholder="As others should see it"
        aria-invalid={wrong}
        onInput={(event) => {
          port.store.dispatch({ type: 'name', name: event.currentTarget.value });
        }}
      />
    </div>
  );
}

function DeviceSelects({ port, lobby }: PartProps): JSX.Element {
  const select = (kind: SourceKind): JSX.Element => (
    <DeviceSelect
      kind={kind}
      devices={lobby.devices[kind]}
      chosen={lobby[kind].deviceId}
      onChoose={(id) => void port.choose(kind, id)}
    />
  );
  return (
    <div class="field-pair">
      {select('microphone')}
      {select('camera')}
    </div>
  );
}

function LobbyTroubles({ port, lobby }: PartProps): JSX.Element {
  const failed = lobby.camera.state === 'failed' || lobby.microphone.state === 'failed';
  return (
    <>
      {lobbyTroubles(lobby).map((trouble) => (
        <TroubleCard key={trouble.code} trouble={trouble}>
          {failed && trouble !== lobby.trouble && (
            <button type="button" class="button small" onClick={() => void port.retry()}>
              Try again
            </button>
          )}
        </TroubleCard>
      ))}
    </>
  );
}
