import { describe, expect, it } from 'vitest';
import { MAX_MESSAGES, type ChatMessage } from '../../src/model/chat';
import { reduceMeeting, type Meeting } from '../../src/model/meeting';
import { MAX_NOTICES } from '../../src/model/notices';
import { trouble } from '../../src/model/trouble';
import { networkBanner } from '../../src/model/view';
import { meetingAfter, meetingOf, people, person } from '../fixtures';

const message = (id: string, difference: Partial<ChatMessage> = {}): ChatMessage => ({
  id,
  identity: 'p1',
  name: 'Ana',
  text: 'hello',
  at: 0,
  isSelf: false,
  ...difference,
});

const news = (meeting: Meeting): string[] => meeting.notices.list.map((notice) => notice.text);
const loudNews = (meeting: Meeting): string[] =>
  meeting.notices.list.filter((notice) => !notice.quiet).map((notice) => notice.text);

describe('people in a meeting', () => {
  it('are no news when they were there before', () => {
    expect(news(meetingOf(people(5)))).toEqual([]);
  });

  it('are news when they join and leave', () => {
    let meeting = meetingOf(people(2));
    meeting = reduceMeeting(meeting, { type: 'people', people: people(3) });
    expect(loudNews(meeting)).toEqual(['p2 joined']);
    meeting = reduceMeeting(meeting, { type: 'people', people: people(2) });
    expect(loudNews(meeting)).toEqual(['p2 joined', 'p2 left']);
  });

  it('who arrive together are told in one sentence', () => {
    const meeting = reduceMeeting(meetingOf(people(1)), { type: 'people', people: people(5) });
    expect(loudNews(meeting)).toEqual(['p1, p2 and 2 others joined']);
  });

  it('are not told as gone and back while the connection is rebuilt', () => {
    let meeting = meetingOf(people(4));
    meeting = reduceMeeting(meeting, { type: 'phase', phase: 'reconnecting' });
    meeting = reduceMeeting(meeting, { type: 'people', people: people(1) });
    meeting = reduceMeeting(meeting, { type: 'people', people: people(4) });
    meeting = reduceMeeting(meeting, { type: 'phase', phase: 'connected' });
    expect(news(meeting)).toEqual(['You are connected again']);
  });

  it('who mute themselves are told to screen readers only, and only in a small room', () => {
    const mute = (count: number): Meeting => {
      const muted = people(count).map((one) => (one.identity === 'p1' ? { ...one, microphone: 'off' as const } : one));
      return reduceMeeting(meetingOf(people(count)), { type: 'people', people: muted });
    };
    expect(news(mute(3))).toEqual(['p1 turned the microphone off']);
    expect(loudNews(mute(3))).toEqual([]);
    expect(news(mute(20))).toEqual([]);
  });

  it('keep their identity as objects while nothing about them changes', () => {
    const before = meetingOf(people(3));
    const same = reduceMeeting(before, { type: 'people', people: people(3) });
    expect(same).toBe(before);
    const changed = reduceMeeting(before, { type: 'people', people: [...people(2), person('p2', { speaking: true })] });
    expect(changed.people[0]).toBe(before.people[0]);
    expect(changed.people[2]).not.toBe(before.people[2]);
  });

  it('lose their pin when they leave', () => {
    let meeting = reduceMeeting(meetingOf(people(3)), { type: 'pin', identity: 'p2' });
    meeting = reduceMeeting(meeting, { type: 'people', people: people(2) });
    expect(meeting.pinned).toBeNull();
  });

  it('cannot be paged beyond the last page', () => {
    let meeting = reduceMeeting(meetingOf(people(20)), { type: 'capacity', capacity: 9 });
    meeting = reduceMeeting(meeting, { type: 'page', page: 7 });
    expect(meeting.page).toBe(2);
    expect(reduceMeeting(meeting, { type: 'page', page: -1 }).page).toBe(0);
    expect(reduceMeeting(meeting, { type: 'people', people: people(5) }).page).toBe(0);
  });
});

describe('the chat', () => {
  it('counts as unread what arrives while it is closed', () => {
    const meeting = meetingAfter({ type: 'message', message: message('1') }, { type: 'message', message: message('2') });
    expect(meeting.chat.unread).toBe(2);
    expect(loudNews(meeting)).toEqual(['Ana: hello', 'Ana: hello']);
    const opened = reduceMeeting(meeting, { type: 'panel', panel: 'chat' });
    expect(opened.chat.unread).toBe(0);
    expect(news(opened)).toEqual([]);
    expect(reduceMeeting(opened, { type: 'message', message: message('3') }).chat.unread).toBe(0);
  });

  it('reads new messages out without covering the open chat', () => {
    const meeting = meetingAfter({ type: 'panel', panel: 'chat' }, { type: 'message', message: message('1') });
    expect(news(meeting)).toEqual(['Ana: hello']);
    expect(loudNews(meeting)).toEqual([]);
  });

  it('counts again after the people list took the chat’s place', () => {
    const meeting = meetingAfter(
      { type: 'panel', panel: 'chat' },
      { type: 'panel', panel: 'people' },
      { type: 'message', message: message('1') },
    );
    expect(meeting.chat.unread).toBe(1);
  });

  it('does not count one’s own message', () => {
    const meeting = meetingAfter({ type: 'message', message: message('1', { isSelf: true }) });
    expect(meeting.chat).toMatchObject({ unread: 0 });
    expect(meeting.chat.messages).toHaveLength(1);
    expect(news(meeting)).toEqual([]);
  });

  it('shows a message that arrives twice only once', () => {
    const meeting = meetingAfter({ type: 'message', message: message('1') }, { type: 'message', message: message('1') });
    expect(meeting.chat.messages).toHaveLength(1);
    expect(meeting.chat.unread).toBe(1);
  });

  it('forgets the oldest beyond its bound', () => {
    const many = Array.from({ length: MAX_MESSAGES + 3 }, (_, i) => ({ type: 'message', message: message(`${i}`) }) as const);
    const { messages } = meetingAfter(...many).chat;
    expect(messages).toHaveLength(MAX_MESSAGES);
    expect(messages[0]?.id).toBe('3');
  });
});

describe('one’s own devices', () => {
  it('are told when they have settled, not while they start', () => {
    let meeting = meetingAfter({ type: 'own', own: { microphone: 'starting' } });
    expect(news(meeting)).toEqual([]);
    meeting = reduceMeeting(meeting, { type: 'own', own: { microphone: 'on' } });
    expect(news(meeting)).toEqual(['Microphone on']);
  });

  it('switched off by a host are told aloud', () => {
    expect(loudNews(meetingAfter({ type: 'muted_by_host' }))).toEqual(['A host turned your microphone off']);
  });
});

describe('notices', () => {
  it('are bounded, and go when they were seen', () => {
    const many = Array.from({ length: 9 }, (_, i) => ({ type: 'notice', text: `${i}`, quiet: false }) as const);
    const meeting = meetingAfter(...many);
    expect(news(meeting)).toEqual(['5', '6', '7', '8'].slice(-MAX_NOTICES));
    const first = meeting.notices.list[0];
    expect(news(reduceMeeting(meeting, { type: 'notice_seen', id: first?.id ?? -1 }))).toEqual(['6', '7', '8']);
    expect(reduceMeeting(meeting, { type: 'notice_seen', id: 999 }).notices).toBe(meeting.notices);
  });

  it('tell a recording once', () => {
    const meeting = meetingAfter({ type: 'recording', recording: true }, { type: 'recording', recording: true });
    expect(loudNews(meeting)).toEqual(['This meeting is being recorded']);
  });
});

describe('the network', () => {
  const self = (quality: 'poor' | 'lost' | 'good'): Meeting => meetingOf([person('me', { isSelf: true, quality })]);

  it('is put into words', () => {
    expect(networkBanner(meetingAfter())?.text).toContain('Joining');
    expect(networkBanner(meetingAfter({ type: 'phase', phase: 'resuming' }))?.tone).toBe('warning');
    expect(networkBanner(meetingAfter({ type: 'phase', phase: 'reconnecting' }))?.text).toContain('again');
    expect(networkBanner(self('poor'))?.text).toContain('weak');
    expect(networkBanner(self('lost'))?.text).toContain('cannot');
    expect(networkBanner(self('good'))).toBeNull();
  });

  it('of somebody else is no banner', () => {
    expect(networkBanner(meetingOf([person('me', { isSelf: true }), person('x', { quality: 'lost' })]))).toBeNull();
  });
});

describe('a meeting that ended', () => {
  it('changes no more', () => {
    const ended = reduceMeeting(meetingOf(people(2)), { type: 'ended', ending: 'removed' });
    expect(ended).toMatchObject({ phase: 'ended', ending: 'removed' });
    expect(reduceMeeting(ended, { type: 'phase', phase: 'connected' })).toBe(ended);
    expect(reduceMeeting(ended, { type: 'ended', ending: 'left' })).toBe(ended);
    expect(reduceMeeting(ended, { type: 'trouble', trouble: trouble('unexpected') })).toBe(ended);
  });
});
