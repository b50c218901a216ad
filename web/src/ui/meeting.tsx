/**
 * The meeting: a head, the board of people, a panel beside it, the controls below, and what is said to screen readers.
 */

import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Meeting } from '../model/meeting';
import { commandFor } from '../model/shortcuts';
import { useMeetingPort } from '../ports';
import { useStore } from '../store';
import { Board } from './board';
import { Brand } from './brand';
import { ChatPanel } from './chat-panel';
import { Controls } from './controls';
import { HelpDialog } from './help-dialog';
import { useFocusOnMount, useTitle } from './hooks';
import { Icon } from './icon';
import { NetworkBanner } from './notices';
import { PeoplePanel } from './people-panel';
import { runCommand } from './commands';
import { SettingsDialog } from './settings-dialog';
import { Sounds } from './sounds';
import { TroubleCard } from './trouble-card';

interface Props {
  readonly shortcuts: boolean;
  readonly onShortcuts: (on: boolean) => void;
}

export function MeetingScreen({ shortcuts, onShortcuts }: Props): JSX.Element {
  const port = useMeetingPort();
  const meeting = useStore(port.store);
  const { unread } = meeting.chat;
  useTitle(`${unread > 0 ? `(${unread}) ` : ''}${meeting.room} · Conclave`);
  useShortcuts(shortcuts && meeting.dialog === 'none');
  return (
    <div class="meeting" data-phase={meeting.phase} data-panel={meeting.panel}>
      <Head meeting={meeting} />
      <main class="meeting-main" aria-label="People">
        <NetworkBanner meeting={meeting} />
        <Interruptions meeting={meeting} />
        <Board meeting={meeting} />
      </main>
      {meeting.panel === 'chat' && <ChatPanel chat={meeting.chat} mayChat={meeting.own.mayChat} />}
      {meeting.panel === 'people' && <PeoplePanel people={meeting.people} />}
      <Controls meeting={meeting} />
      <Sounds people={meeting.people} />
      {meeting.dialog === 'settings' && <SettingsDialog />}
      {meeting.dialog === 'help' && <HelpDialog shortcuts={shortcuts} onShortcuts={onShortcuts} />}
    </div>
  );
}

function Head({ meeting }: { readonly meeting: Meeting }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useFocusOnMount(heading);
  return (
    <header class="meeting-head">
      <Brand />
      <h1 ref={heading} tabIndex={-1} class="meeting-room">
        {meeting.room}
      </h1>
      {meeting.recording && (
        <p class="recording">
          <span class="recording-dot" aria-hidden="true" />
          Recording
        </p>
      )}
      <p class="meeting-count">
        {meeting.people.length} {meeting.people.length === 1 ? 'person' : 'people'}
      </p>
    </header>
  );
}

/** What needs the person's hand before the meeting can go on as they expect. */
function Interruptions({ meeting }: { readonly meeting: Meeting }): JSX.Element | null {
  const port = useMeetingPort();
  if (!meeting.soundBlocked && !meeting.trouble) return null;
  return (
    <div class="interruptions">
      {meeting.soundBlocked && (
        <button type="button" class="button primary" onClick={() => void port.startSound()}>
          <Icon name="sound" /> Turn the sound on
        </button>
      )}
      {meeting.trouble && (
        <TroubleCard trouble={meeting.trouble}>
          <button
            type="button"
            class="button small"
            onClick={() => {
              port.store.dispatch({ type: 'trouble', trouble: null });
            }}
          >
            Understood
          </button>
        </TroubleCard>
      )}
    </div>
  );
}

function useShortcuts(active: boolean): void {
  const port = useMeetingPort();
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') {
        closePanel();
        return;
      }
      const command = commandFor({
        key: event.key,
        modified: event.ctrlKey || event.altKey || event.metaKey,
        repeated: event.repeat,
        inField: event.target instanceof Element && event.target.closest('input, textarea, select') !== null,
      });
      if (!command) return;
      event.preventDefault();
      runCommand(port, command);
    };
    const closePanel = (): void => {
      const { panel } = port.store.state;
      if (panel !== 'none') runCommand(port, panel === 'chat' ? 'toggle_chat' : 'toggle_people');
    };
    if (active) document.addEventListener('keydown', press);
    return () => {
      document.removeEventListener('keydown', press);
    };
  }, [port, active]);
}
