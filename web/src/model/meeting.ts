/**
 * The state of a meeting as one value, and the one function that changes it.
 * Comes in: actions from the media session and from the person. Goes out: the next state. No effects.
 */

import { EMPTY_CHAT, receiveMessage, setChatOpen, type Chat, type ChatMessage } from './chat';
import type { Ending } from './ending';
import { announceChanges, dismiss, dismissChat, NO_NOTICES, notify, type Notices } from './notices';
import { EMPTY_ORDER, reorder, type Ordering } from './order';
import { mergePeople, peopleChanges, type Person } from './people';
import type { Trouble } from './trouble';

export type Phase = 'connecting' | 'connected' | 'resuming' | 'reconnecting' | 'ended';
export type Panel = 'none' | 'chat' | 'people';
export type Dialog = 'none' | 'settings' | 'help';
/** What one's own devices are doing; `starting` while the browser or the server has not answered yet. */
export type Toggle = 'on' | 'off' | 'starting';

export interface Own {
  readonly microphone: Toggle;
  readonly camera: Toggle;
  readonly share: Toggle;
  /** Whether the server lets this person send at all. */
  readonly maySpeak: boolean;
  readonly mayShow: boolean;
  readonly mayShare: boolean;
  readonly mayChat: boolean;
}

export interface Meeting {
  readonly room: string;
  readonly phase: Phase;
  readonly ending: Ending | null;
  readonly people: readonly Person[];
  readonly ordering: Ordering;
  readonly own: Own;
  readonly chat: Chat;
  readonly notices: Notices;
  readonly panel: Panel;
  readonly dialog: Dialog;
  readonly page: number;
  readonly pageCapacity: number;
  /** Identity of the person whose tile was enlarged by hand. */
  readonly pinned: string | null;
  /** The browser waits for a click before it plays sound. */
  readonly soundBlocked: boolean;
  readonly recording: boolean;
  readonly trouble: Trouble | null;
}

export type Action =
  | { readonly type: 'phase'; readonly phase: Exclude<Phase, 'ended'> }
  | { readonly type: 'ended'; readonly ending: Ending }
  | { readonly type: 'people'; readonly people: readonly Person[] }
  | { readonly type: 'own'; readonly own: Partial<Own> }
  | { readonly type: 'muted_by_host' }
  | { readonly type: 'message'; readonly message: ChatMessage }
  | { readonly type: 'panel'; readonly panel: Panel }
  | { readonly type: 'dialog'; readonly dialog: Dialog }
  | { readonly type: 'page'; readonly page: number }
  | { readonly type: 'capacity'; readonly capacity: number }
  | { readonly type: 'pin'; readonly identity: string | null }
  | { readonly type: 'sound_blocked'; readonly blocked: boolean }
  | { readonly type: 'recording'; readonly recording: boolean }
  | { readonly type: 'trouble'; readonly trouble: Trouble | null }
  | { readonly type: 'notice'; readonly text: string; readonly quiet: boolean }
  | { readonly type: 'notice_seen'; readonly id: number };

const OWN: Own = {
  microphone: 'off',
  camera: 'off',
  share: 'off',
  maySpeak: true,
  mayShow: true,
  mayShare: true,
  mayChat: true,
};

export function newMeeting(room: string): Meeting {
  return {
    room,
    phase: 'connecting',
    ending: null,
    people: [],
    ordering: EMPTY_ORDER,
    own: OWN,
    chat: EMPTY_CHAT,
    notices: NO_NOTICES,
    panel: 'none',
    dialog: 'none',
    page: 0,
    pageCapacity: 9,
    pinned: null,
    soundBlocked: false,
    recording: false,
    trouble: null,
  };
}

export function reduceMeeting(meeting: Meeting, action: Action): Meeting {
  if (meeting.phase === 'ended') return meeting;
  switch (action.type) {
    case 'phase':
      return onPhase(meeting, action.phase);
    case 'ended':
      return { ...meeting, phase: 'ended', ending: action.ending, dialog: 'none' };
    case 'people':
      return onPeople(meeting, action.people);
    case 'own':
      return onOwn(meeting, action.own);
    case 'muted_by_host':
      return { ...meeting, notices: notify(meeting.notices, 'A host turned your microphone off') };
    case 'message':
      return onMessage(meeting, action.message);
    case 'capacity':
      return onCapacity(meeting, action.capacity);
    case 'notice':
      return { ...meeting, notices: notify(meeting.notices, action.text, action.quiet) };
    case 'notice_seen':
      return { ...meeting, notices: dismiss(meeting.notices, action.id) };
    case 'recording':
      return onRecording(meeting, action.recording);
    default:
      return onView(meeting, action);
  }
}

type ViewAction = Extract<Action, { type: 'panel' | 'dialog' | 'page' | 'pin' | 'sound_blocked' | 'trouble' }>;

function onView(meeting: Meeting, action: ViewAction): Meeting {
  switch (action.type) {
    case 'panel':
      return onPanel(meeting, action.panel);
    case 'dialog':
      return { ...meeting, dialog: action.dialog };
    case 'page':
      return { ...meeting, page: clampPage(action.page, meeting.people.length, meeting.pageCapacity) };
    case 'pin':
      return { ...meeting, pinned: action.identity };
    case 'sound_blocked':
      return { ...meeting, soundBlocked: action.blocked };
    case 'trouble':
      return { ...meeting, trouble: action.trouble };
  }
}

function onPanel(meeting: Meeting, panel: Panel): Meeting {
  const open = panel === 'chat';
  const notices = open ? dismissChat(meeting.notices) : meeting.notices;
  return { ...meeting, panel, notices, chat: setChatOpen(meeting.chat, open) };
}

function onPhase(meeting: Meeting, phase: Exclude<Phase, 'ended'>): Meeting {
  if (phase === meeting.phase) return meeting;
  const back = phase === 'connected' && (meeting.phase === 'resuming' || meeting.phase === 'reconnecting');
  return { ...meeting, phase, notices: back ? notify(meeting.notices, 'You are connected again') : meeting.notices };
}

function onPeople(meeting: Meeting, after: readonly Person[]): Meeting {
  const people = mergePeople(meeting.people, after);
  if (people === meeting.people) return meeting;
  // The first roster is who was there before; a full reconnect replaces everybody for a moment. Neither is news.
  const news = meeting.people.length > 0 && meeting.phase === 'connected';
  const changes = news ? peopleChanges(meeting.people, people) : [];
  return {
    ...meeting,
    people,
    ordering: reorder(meeting.ordering, people, meeting.pageCapacity),
    notices: announceChanges(meeting.notices, changes, people.length),
    page: clampPage(meeting.page, people.length, meeting.pageCapacity),
    pinned: people.some((person) => person.identity === meeting.pinned) ? meeting.pinned : null,
  };
}

function onOwn(meeting: Meeting, own: Partial<Own>): Meeting {
  const next = { ...meeting.own, ...own };
  let notices = meeting.notices;
  for (const [device, name] of OWN_DEVICES) {
    const settled = next[device] !== 'starting' && next[device] !== meeting.own[device];
    if (settled) notices = notify(notices, `${name} ${next[device]}`, true);
  }
  return { ...meeting, own: next, notices };
}

const OWN_DEVICES = [
  ['microphone', 'Microphone'],
  ['camera', 'Camera'],
  ['share', 'Screen sharing'],
] as const;

function onMessage(meeting: Meeting, message: ChatMessage): Meeting {
  const chat = receiveMessage(meeting.chat, message);
  if (chat === meeting.chat || message.isSelf) return { ...meeting, chat };
  const text = `${message.name}: ${message.text.slice(0, 160)}`;
  return { ...meeting, chat, notices: notify(meeting.notices, text, meeting.chat.open, 'chat') };
}

function onCapacity(meeting: Meeting, capacity: number): Meeting {
  if (capacity === meeting.pageCapacity) return meeting;
  return {
    ...meeting,
    pageCapacity: capacity,
    ordering: reorder(meeting.ordering, meeting.people, capacity),
    page: clampPage(meeting.page, meeting.people.length, capacity),
  };
}

function onRecording(meeting: Meeting, recording: boolean): Meeting {
  if (recording === meeting.recording) return meeting;
  const text = recording ? 'This meeting is being recorded' : 'The recording has stopped';
  return { ...meeting, recording, notices: notify(meeting.notices, text) };
}

function clampPage(page: number, people: number, capacity: number): number {
  return Math.max(0, Math.min(page, Math.ceil(people / capacity) - 1));
}
