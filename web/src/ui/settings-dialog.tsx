/**
 * Switches camera, microphone and speaker in the running meeting.
 */

import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { NO_DEVICES, type DeviceKind, type DeviceList } from '../model/devices';
import { useMeetingPort } from '../ports';
import { DeviceSelect } from './device-select';
import { Dialog } from './dialog';

export function SettingsDialog(): JSX.Element {
  const port = useMeetingPort();
  const [devices, setDevices] = useState<DeviceList>(NO_DEVICES);
  const [chosen, setChosen] = useState<Partial<Record<DeviceKind, string>>>({});
  useEffect(() => {
    void port.devices().then(setDevices);
  }, [port]);
  const choose = async (kind: DeviceKind, id: string): Promise<void> => {
    setChosen((old) => ({ ...old, [kind]: id }));
    await port.chooseDevice(kind, id);
  };
  const kinds: readonly DeviceKind[] = canChooseSpeaker() ? ['microphone', 'camera', 'speaker'] : ['microphone', 'camera'];
  return (
    <Dialog
      title="Devices"
      onClose={() => {
        port.store.dispatch({ type: 'dialog', dialog: 'none' });
      }}
    >
      <div class="dialog-fields">
        {kinds.map((kind) => (
          <DeviceSelect
            key={kind}
            kind={kind}
            devices={devices[kind]}
            chosen={chosen[kind] ?? port.activeDevice(kind)}
            onChoose={(id) => void choose(kind, id)}
          />
        ))}
      </div>
      <p class="hint">A change takes effect at once. Others notice nothing but the new sound or picture.</p>
    </Dialog>
  );
}

/** Some browsers leave the choice of speaker to the system. */
function canChooseSpeaker(): boolean {
  return 'setSinkId' in HTMLMediaElement.prototype;
}
