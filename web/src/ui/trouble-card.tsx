/**
 * One trouble in words: what is wrong, what to do, and the buttons that do it.
 */

import type { ComponentChildren, JSX } from 'preact';
import type { Trouble } from '../model/trouble';
import { Icon } from './icon';

interface Props {
  readonly trouble: Trouble;
  readonly children?: ComponentChildren;
}

export function TroubleCard({ trouble, children }: Props): JSX.Element {
  return (
    <div class="trouble" role="alert" data-trouble={trouble.code}>
      <Icon name="warning" />
      <div class="trouble-words">
        <p class="trouble-title">{trouble.title}</p>
        <p>{trouble.advice}</p>
        {children && <div class="trouble-actions">{children}</div>}
      </div>
    </div>
  );
}
