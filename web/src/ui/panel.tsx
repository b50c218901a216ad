/**
 * The frame of what opens beside the board: a heading, a button to close, content. On phones it covers the board.
 */

import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import { useMeetingPort } from '../ports';
import { runCommand } from './commands';
import { Icon } from './icon';

interface Props {
  readonly kind: 'chat' | 'people';
  readonly title: string;
  readonly children: ComponentChildren;
}

export function Panel({ kind, title, children }: Props): JSX.Element {
  const port = useMeetingPort();
  const heading = useId();
  return (
    <aside class={`panel panel-${kind}`} aria-labelledby={heading}>
      <div class="panel-head">
        <h2 id={heading}>{title}</h2>
        <button
          type="button"
          class="button-icon"
          aria-label={`Close ${kind === 'chat' ? 'chat' : 'list of people'}`}
          onClick={() => {
            runCommand(port, kind === 'chat' ? 'toggle_chat' : 'toggle_people');
          }}
        >
          <Icon name="close" />
        </button>
      </div>
      {children}
    </aside>
  );
}
