/**
 * The conversation beside the meeting: messages in arrival order and how many have not been seen.
 */

export interface ChatMessage {
  readonly id: string;
  readonly identity: string;
  readonly name: string;
  readonly text: string;
  /** Milliseconds since the epoch, by the sender's clock. */
  readonly at: number;
  readonly isSelf: boolean;
}

export interface Chat {
  readonly messages: readonly ChatMessage[];
  readonly unread: number;
  readonly open: boolean;
}

/** Older messages are forgotten: the page keeps no archive, and thousands of nodes would make it slow. */
export const MAX_MESSAGES = 500;
/** Longer texts belong into a document; also far below what the data channel takes. */
export const MAX_MESSAGE_LENGTH = 4000;

export const EMPTY_CHAT: Chat = { messages: [], unread: 0, open: false };

export function receiveMessage(chat: Chat, message: ChatMessage): Chat {
  if (chat.messages.some((known) => known.id === message.id)) return chat;
  const bounded = { ...message, text: message.text.slice(0, MAX_MESSAGE_LENGTH) };
  return {
    ...chat,
    messages: [...chat.messages, bounded].slice(-MAX_MESSAGES),
    unread: chat.open || message.isSelf ? chat.unread : chat.unread + 1,
  };
}

export function setChatOpen(chat: Chat, open: boolean): Chat {
  return { ...chat, open, unread: open ? 0 : chat.unread };
}

export type ChatPart = { readonly text: string } & ({ readonly link: string } | { readonly link?: never });

/** Splits a text into plain parts and http(s) links; everything else stays text. */
export function chatParts(text: string): ChatPart[] {
  const parts: ChatPart[] = [];
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}']/g)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index) });
    parts.push({ text: match[0], link: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/** Whether a message continues the one before it, so that the name need not be repeated. */
export function continues(previous: ChatMessage | undefined, message: ChatMessage): boolean {
  return previous?.identity === message.identity && message.at - previous.at < 3 * 60_000;
}
