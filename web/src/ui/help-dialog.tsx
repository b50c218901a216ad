/**
 * The list of keys, and the switch that turns them off.
 */

import type { JSX } from 'preact';
import { SHORTCUTS } from '../model/shortcuts';
import { useMeetingPort } from '../ports';
import { Dialog } from './dialog';

interface Props {
  readonly shortcuts: boolean;
  readonly onShortcuts: (on: boolean) => void;
}

export function HelpDialog({ shortcuts, onShortcuts }: Props): JSX.Element {
  const port = useMeetingPort();
  return (
    <Dialog
      title="Keyboard shortcuts"
      onClose={() => {
        port.store.dispatch({ type: 'dialog', dialog: 'none' });
      }}
    >
      <dl class="keys">
        {SHORTCUTS.map(({ label, does }) => (
          <div key={label} class="keys-row">
            <dt>
              <kbd>{label}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
        <div class="keys-row">
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>Close a panel or dialog</dd>
        </div>
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={shortcuts}
          onChange={(event) => {
            onShortcuts(event.currentTarget.checked);
          }}
        />
        Single keys work as shortcuts
      </label>
    </Dialog>
  );
}
