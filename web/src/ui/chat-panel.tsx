/**
 * The chat: messages, newest below, and a box to write. Enter sends, Shift+Enter begins a new line.
 */

import type { JSX, TargetedKeyboardEvent } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { chatParts, continues, MAX_MESSAGE_LENGTH, type Chat, type ChatMessage } from '../model/chat';
import { clockTime } from '../model/format';
import { useMeetingPort } from '../ports';
import { useFocusOnMount } from './hooks';
import { Icon } from './icon';
import { Panel } from './panel';

interface Props {
  readonly chat: Chat;
  readonly mayChat: boolean;
}

export function ChatPanel({ chat, mayChat }: Props): JSX.Element {
  return (
    <Panel kind="chat" title="Chat">
      {chat.messages.length === 0 ? <Empty /> : <Messages messages={chat.messages} />}
      {mayChat ? <Composer /> : <p class="hint panel-note">Writing is not allowed in this meeting.</p>}
    </Panel>
  );
}

function Empty(): JSX.Element {
  return (
    <div class="panel-empty">
      <Icon name="chat" />
      <p>No messages yet</p>
      <p class="hint">What you write here is seen by everyone in the room, and gone when you leave.</p>
    </div>
  );
}

function Messages({ messages }: { readonly messages: readonly ChatMessage[] }): JSX.Element {
  const list = useRef<HTMLOListElement>(null);
  const last = messages.at(-1)?.id;
  useEffect(() => {
    list.current?.lastElementChild?.scrollIntoView({ block: 'end' });
  }, [last]);
  // Screen readers hear new messages from the notices; the list itself can be scrolled with the keyboard.
  return (
    <div class="messages" role="region" aria-label="Messages" tabIndex={0}>
      <ol ref={list}>
        {messages.map((message, i) => (
          <Message key={message.id} message={message} joined={continues(messages[i - 1], message)} />
        ))}
      </ol>
    </div>
  );
}

function Message({ message, joined }: { readonly message: ChatMessage; readonly joined: boolean }): JSX.Element {
  return (
    <li class={`message${message.isSelf ? ' own' : ''}`} data-message={message.id}>
      {!joined && (
        <p class="message-head">
          <span class="message-name">{message.isSelf ? 'You' : message.name}</span>{' '}
          <time dateTime={new Date(message.at).toISOString()}>{clockTime(message.at)}</time>
        </p>
      )}
      <p class="message-text">
        {chatParts(message.text).map((part, i) =>
          part.link === undefined ? (
            part.text
          ) : (
            <a key={i} href={part.link} target="_blank" rel="noopener noreferrer">
              {part.text}
            </a>
          ),
        )}
      </p>
    </li>
  );
}

function Composer(): JSX.Element {
  const port = useMeetingPort();
  const [text, setText] = useState('');
  const field = useId();
  const input = useRef<HTMLTextAreaElement>(null);
  useFocusOnMount(input);
  const send = async (): Promise<void> => {
    const message = text.trim();
    if (message === '') return;
    setText('');
    // What could not be sent goes back into the box, in front of whatever was typed meanwhile.
    if (!(await port.sendMessage(message))) setText((typed) => (typed === '' ? message : `${message}\n${typed}`));
  };
  const press = (event: TargetedKeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void send();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
        input.current?.focus();
      }}
    >
      <label for={field} class="visually-hidden">
        Message to everyone
      </label>
      <textarea
        ref={input}
        id={field}
        rows={1}
        value={text}
        maxLength={MAX_MESSAGE_LENGTH}
        placeholder="Write to everyone"
        onInput={(event) => {
          setText(event.currentTarget.value);
        }}
        onKeyDown={press}
      />
      <button type="submit" class="button-icon send" aria-label="Send message" aria-disabled={text.trim() === ''}>
        <Icon name="send" />
      </button>
    </form>
  );
}
