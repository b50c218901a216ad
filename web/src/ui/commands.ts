/**
 * What a key or a button does. One function for both, so that they never differ.
 */

import type { Panel } from '../model/meeting';
import type { Command } from '../model/shortcuts';
import type { MeetingPort } from '../ports';

export function runCommand(port: MeetingPort, command: Command): void {
  COMMANDS[command](port);
}

const COMMANDS: Readonly<Record<Command, (port: MeetingPort) => void>> = {
  toggle_microphone: (port) => {
    if (port.store.state.own.maySpeak) void port.toggleMicrophone();
  },
  toggle_camera: (port) => {
    if (port.store.state.own.mayShow) void port.toggleCamera();
  },
  toggle_share: (port) => {
    if (port.store.state.own.mayShare) void port.toggleShare();
  },
  toggle_chat: (port) => {
    togglePanel(port, 'chat');
  },
  toggle_people: (port) => {
    togglePanel(port, 'people');
  },
  open_settings: ({ store }) => {
    store.dispatch({ type: 'dialog', dialog: 'settings' });
  },
  open_help: ({ store }) => {
    store.dispatch({ type: 'dialog', dialog: 'help' });
  },
  next_page: ({ store }) => {
    store.dispatch({ type: 'page', page: store.state.page + 1 });
  },
  previous_page: ({ store }) => {
    store.dispatch({ type: 'page', page: store.state.page - 1 });
  },
};

/** A panel that closes gives the focus back to its button. */
function togglePanel(port: MeetingPort, panel: Exclude<Panel, 'none'>): void {
  const open = port.store.state.panel === panel;
  port.store.dispatch({ type: 'panel', panel: open ? 'none' : panel });
  if (open) document.querySelector<HTMLElement>(`[data-control="${panel}"]`)?.focus();
}
