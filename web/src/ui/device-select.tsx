/**
 * A list of cameras, microphones or speakers to choose from.
 */

import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import { deviceName, type Device, type DeviceKind } from '../model/devices';

interface Props {
  readonly kind: DeviceKind;
  readonly devices: readonly Device[];
  readonly chosen: string;
  readonly onChoose: (id: string) => void;
}

export function DeviceSelect({ kind, devices, chosen, onChoose }: Props): JSX.Element {
  const field = useId();
  const known = devices.some((device) => device.id === chosen);
  return (
    <div class="field">
      <label for={field}>{deviceName(kind)}</label>
      <select
        id={field}
        data-device={kind}
        value={known ? chosen : ''}
        disabled={devices.length === 0}
        onChange={(event) => {
          onChoose(event.currentTarget.value);
        }}
      >
        {!known && <option value="">{devices.length === 0 ? 'None found' : 'Default'}</option>}
        {devices.map((device) => (
          <option key={device.id} value={device.id}>
            {device.label}
          </option>
        ))}
      </select>
    </div>
  );
}
