/**
 * The board: measures its area, asks the model where tiles stand, draws them and the pager.
 */

import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { layBoard, type Board as BoardLayout } from '../model/board';
import type { Meeting } from '../model/meeting';
import { useMeetingPort } from '../ports';
import { runCommand } from './commands';
import { useSize } from './hooks';
import { Icon } from './icon';
import { Notices } from './notices';
import { Tile } from './tile';

export function Board({ meeting }: { readonly meeting: Meeting }): JSX.Element {
  const { store } = useMeetingPort();
  const ref = useRef<HTMLDivElement>(null);
  const size = useSize(ref);
  const board = layBoard(meeting, size);
  // Tiles glide when people come and go; while the window itself changes size they stick to it.
  const drawn = useRef(size);
  const still = drawn.current !== size;
  useEffect(() => {
    drawn.current = size;
  });
  const measured = size.width > 0 && size.height > 0;
  useEffect(() => {
    if (measured) store.dispatch({ type: 'capacity', capacity: board.capacity });
  }, [store, measured, board.capacity]);
  const alone = meeting.phase === 'connected' && meeting.people.length === 1;
  return (
    <div class="board-frame">
      <div ref={ref} class="board" data-still={still}>
        {measured && (
          <ul class="tiles">
            {board.tiles.map((tile) => (
              <Tile key={tile.key} tile={tile} pinned={meeting.pinned === tile.person.identity} />
            ))}
          </ul>
        )}
        {alone && <Alone />}
        <Notices notices={meeting.notices} />
      </div>
      {board.pages > 1 && <Pager board={board} />}
    </div>
  );
}

/** Nobody else is here yet: say so, and offer the link. */
function Alone(): JSX.Element {
  const { store } = useMeetingPort();
  const copy = async (): Promise<void> => {
    const done = await copyText(location.href);
    const text = done ? 'Link copied' : 'Copy the link from the address bar';
    store.dispatch({ type: 'notice', text, quiet: false });
  };
  return (
    <div class="alone">
      <p>You are the first one here.</p>
      <button type="button" class="button small" onClick={() => void copy()}>
        Copy the link of this room
      </button>
    </div>
  );
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function Pager({ board }: { readonly board: BoardLayout }): JSX.Element {
  const port = useMeetingPort();
  return (
    <nav class="pager" aria-label="Pages of people">
      <button
        type="button"
        class="button-icon"
        aria-label="Previous page"
        aria-disabled={board.page === 0}
        onClick={() => {
          runCommand(port, 'previous_page');
        }}
      >
        <Icon name="previous" />
      </button>
      <p aria-live="polite">
        {board.page + 1} / {board.pages}
      </p>
      <button
        type="button"
        class="button-icon"
        aria-label="Next page"
        aria-disabled={board.page === board.pages - 1}
        onClick={() => {
          runCommand(port, 'next_page');
        }}
      >
        <Icon name="next" />
      </button>
    </nav>
  );
}
