/** Moments of a meeting worth looking at, as the actions that lead there. */

import type { ChatMessage } from '../../src/model/chat';
import type { Action } from '../../src/model/meeting';
import type { Person } from '../../src/model/people';
import { trouble } from '../../src/model/trouble';
import { person } from '../fixtures';

const NAMES = [
  'Ana Silva', 'Bo Lindqvist', 'Chinonso Eze', 'Dara O’Neill', 'Elif Yıldız', 'Farid Rahimi', 'Greta Huber', 'Hiro Tanaka',
  'Ines Costa', 'Jonas Weber', 'Kaia Berg', 'Lucía Fernández de Córdoba y Mendoza', 'Mateo Rossi', 'Noor Haddad', 'Olga Petrova',
  'Priya Nair', 'Quentin Dubois', 'Rosa Jiménez', 'Sven Olsen',
];

function crowd(count: number): Person[] {
  return Array.from({ length: count }, (_, i) =>
    person(`p${i}`, {
      name: `${NAMES[i % NAMES.length] ?? ''}${i >= NAMES.length ? ` ${Math.floor(i / NAMES.length) + 1}` : ''}`,
      isSelf: i === 0,
      camera: i % 4 === 3 ? null : { key: `camera-${i}`, paused: false },
      microphone: i % 3 === 2 ? 'off' : 'on',
      speaking: i === 1,
      quality: i === 4 ? 'poor' : i % 5 === 2 ? 'good' : 'excellent',
    }),
  );
}

const AT = new Date(2026, 2, 3, 14, 5).getTime();

function said(id: number, identity: string, name: string, text: string): Action {
  const message: ChatMessage = { id: `m${id}`, identity, name, text, at: AT + id * 40_000, isSelf: identity === 'p0' };
  return { type: 'message', message };
}

const TALK: readonly Action[] = [
  said(1, 'p1', 'Bo Lindqvist', 'Good afternoon! Can everyone see the plan?'),
  said(2, 'p1', 'Bo Lindqvist', 'It is also here: https://example.org/plan'),
  said(3, 'p0', 'Ana Silva', 'Yes, thank you.'),
  said(9, 'p4', 'Elif Yıldız', 'One question about bed 4:\nshould the beans not stand further from the wall, where it is less dry in June?'),
];

const connected: Action = { type: 'phase', phase: 'connected' };
const own: Action = { type: 'own', own: { microphone: 'on', camera: 'on' } };

function scene(count: number, ...more: readonly Action[]): readonly Action[] {
  return [connected, own, { type: 'people', people: crowd(count) }, ...more];
}

const sharing = (count: number): Action => ({
  type: 'people',
  people: crowd(count).map((one, i) => (i === 2 ? { ...one, screen: { key: 'screen-2', paused: false } } : one)),
});

export const SCENES: Readonly<Record<string, readonly Action[]>> = {
  alone: scene(1),
  two: scene(2),
  six: scene(6),
  nineteen: scene(19),
  crowd: scene(60),
  share: scene(6, sharing(6)),
  pinned: scene(5, { type: 'pin', identity: 'p1' }),
  chat: scene(6, ...TALK, { type: 'panel', panel: 'chat' }),
  chat_empty: scene(2, { type: 'panel', panel: 'chat' }),
  people: scene(9, { type: 'panel', panel: 'people' }),
  unread: scene(4, ...TALK),
  settings: scene(3, { type: 'dialog', dialog: 'settings' }),
  help: scene(3, { type: 'dialog', dialog: 'help' }),
  muted: scene(3, { type: 'own', own: { microphone: 'off', camera: 'off' } }, { type: 'muted_by_host' }),
  listener: scene(3, {
    type: 'own',
    own: { microphone: 'off', camera: 'off', maySpeak: false, mayShow: false, mayShare: false, mayChat: false },
  }),
  reconnecting: scene(4, { type: 'phase', phase: 'reconnecting' }),
  recording: scene(4, { type: 'recording', recording: true }),
  trouble: scene(4, { type: 'trouble', trouble: trouble('camera_busy') }, { type: 'sound_blocked', blocked: true }),
};
