/**
 * After the meeting: why it is over, and the ways on.
 */

import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { endingWords, type Ending } from '../model/ending';
import { Brand } from './brand';
import { useFocusOnMount, useTitle } from './hooks';

interface Props {
  readonly ending: Ending;
  readonly room: string;
  readonly homeUrl: string;
  readonly onRejoin: () => void;
}

export function Ended({ ending, room, homeUrl, onRejoin }: Props): JSX.Element {
  const { title, detail, mayRejoin } = endingWords(ending);
  const heading = useRef<HTMLHeadingElement>(null);
  useFocusOnMount(heading);
  useTitle(`${title} · Conclave`);
  return (
    <div class="entrance" data-ending={ending}>
      <header class="entrance-head">
        <Brand />
      </header>
      <main class="welcome">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <p class="lead">{detail}</p>
        <div class="button-row">
          {mayRejoin && (
            <button type="button" class="button primary" onClick={onRejoin}>
              Back to “{room}”
            </button>
          )}
          <a class="button" href={homeUrl}>
            Another room
          </a>
        </div>
      </main>
    </div>
  );
}
