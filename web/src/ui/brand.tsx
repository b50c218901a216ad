/** The name and the mark. */

import type { JSX } from 'preact';
import { Mark } from './icon';

export function Brand(): JSX.Element {
  return (
    <span class="brand">
      <Mark />
      <span class="brand-name">Conclave</span>
    </span>
  );
}
