/**
 * The bar of controls: own devices, screen, chat, people, settings, help, leave.
 */

import type { JSX } from 'preact';
import { badge } from '../model/format';
import type { Meeting, Toggle } from '../model/meeting';
import { SHORTCUTS, type Command } from '../model/shortcuts';
import { useMeetingPort } from '../ports';
import { runCommand } from './commands';
import { Icon, type IconName } from './icon';

export function Controls({ meeting }: { readonly meeting: Meeting }): JSX.Element {
  const port = useMeetingPort();
  const { own, chat, panel, people } = meeting;
  return (
    <footer class="controls">
      <nav class="controls-row" aria-label="Meeting controls">
        <DeviceControl device="microphone" state={own.microphone} allowed={own.maySpeak} command="toggle_microphone" />
        <DeviceControl device="camera" state={own.camera} allowed={own.mayShow} command="toggle_camera" />
        {canShare() && <ShareControl state={own.share} allowed={own.mayShare} />}
        <span class="controls-gap" aria-hidden="true" />
        <Control
          id="chat"
          icon="chat"
          label={panel === 'chat' ? 'Close chat' : unreadLabel(chat.unread)}
          caption="Chat"
          command="toggle_chat"
          active={panel === 'chat'}
          {...(chat.unread > 0 ? { count: badge(chat.unread) } : {})}
        />
        <Control
          id="people"
          icon="people"
          label={panel === 'people' ? 'Close list of people' : `Show people (${people.length})`}
          caption="People"
          command="toggle_people"
          active={panel === 'people'}
        />
        <Control id="settings" icon="settings" label="Choose devices" caption="Devices" command="open_settings" />
        <Control id="help" icon="help" label="Keyboard shortcuts" caption="Shortcuts" command="open_help" minor />
        <span class="controls-gap" aria-hidden="true" />
        <button type="button" class="control leave" data-control="leave" onClick={() => void port.leave()}>
          <Icon name="leave" />
          <span class="control-caption">Leave</span>
        </button>
      </nav>
    </footer>
  );
}

function unreadLabel(unread: number): string {
  return unread === 0 ? 'Open chat' : `Open chat, ${unread} unread`;
}

/** Phones' browsers cannot capture the screen. */
function canShare(): boolean {
  return 'mediaDevices' in navigator && 'getDisplayMedia' in navigator.mediaDevices;
}

interface DeviceProps {
  readonly device: 'microphone' | 'camera';
  readonly state: Toggle;
  readonly allowed: boolean;
  readonly command: Command;
}

function DeviceControl({ device, state, allowed, command }: DeviceProps): JSX.Element {
  const on = state === 'on';
  const icon: IconName = on ? device : `${device}_off`;
  const caption = device === 'microphone' ? 'Mic' : 'Camera';
  // The words one sees are part of the words one hears, so that voice control finds the button by either.
  const label = allowed ? `Turn ${caption.toLowerCase()} ${on ? 'off' : 'on'}` : `${caption}: not allowed in this meeting`;
  return (
    <Control
      id={device}
      icon={icon}
      label={label}
      caption={caption}
      command={command}
      state={state}
      disabled={!allowed}
    />
  );
}

function ShareControl({ state, allowed }: { readonly state: Toggle; readonly allowed: boolean }): JSX.Element {
  const label = state === 'on' ? 'Stop sharing your screen' : 'Share your screen';
  return (
    <Control
      id="share"
      icon="screen"
      label={allowed ? label : 'Share: not allowed in this meeting'}
      caption={state === 'on' ? 'Stop' : 'Share'}
      command="toggle_share"
      active={state === 'on'}
      disabled={!allowed}
    />
  );
}

interface ControlProps {
  readonly id: string;
  readonly icon: IconName;
  /** The full words, for the tooltip and for screen readers. */
  readonly label: string;
  readonly caption: string;
  readonly command: Command;
  readonly state?: Toggle;
  readonly active?: boolean;
  readonly disabled?: boolean;
  readonly count?: string;
  /** Left out where there is little room. */
  readonly minor?: boolean;
}

function Control(props: ControlProps): JSX.Element {
  const { id, icon, label, caption, command, state, active, disabled, count, minor } = props;
  const port = useMeetingPort();
  const key = SHORTCUTS.find((shortcut) => shortcut.command === command)?.label;
  const classes = ['control', state, active && 'active', minor && 'minor'];
  return (
    <button
      type="button"
      class={classes.filter(Boolean).join(' ')}
      aria-label={label}
      title={key ? `${label} (${key})` : label}
      aria-disabled={disabled ?? state === 'starting'}
      aria-expanded={active === undefined || id === 'share' ? undefined : active}
      data-control={id}
      data-state={state}
      onClick={() => {
        if (!disabled) runCommand(port, command);
      }}
    >
      <Icon name={icon} />
      <span class="control-caption">{caption}</span>
      {count && <span class="count" data-count={count} />}
    </button>
  );
}
