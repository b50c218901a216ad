/**
 * Cameras, microphones and speakers as a list to choose from.
 */

export type DeviceKind = 'camera' | 'microphone' | 'speaker';

export interface Device {
  readonly id: string;
  readonly label: string;
}

export type DeviceList = Readonly<Record<DeviceKind, readonly Device[]>>;

export const NO_DEVICES: DeviceList = { camera: [], microphone: [], speaker: [] };

export const MEDIA_KINDS: Readonly<Record<DeviceKind, MediaDeviceKind>> = {
  camera: 'videoinput',
  microphone: 'audioinput',
  speaker: 'audiooutput',
};

const NAMES: Readonly<Record<DeviceKind, string>> = { camera: 'Camera', microphone: 'Microphone', speaker: 'Speaker' };

export function deviceName(kind: DeviceKind): string {
  return NAMES[kind];
}

/**
 * The browser's list as ours. Before permission labels are empty and ids may be: such entries tell that something is
 * there but cannot be chosen.
 */
export function deviceList(found: readonly Pick<MediaDeviceInfo, 'kind' | 'deviceId' | 'label'>[]): DeviceList {
  const ofKind = (kind: DeviceKind): Device[] =>
    found
      .filter((device) => device.kind === MEDIA_KINDS[kind] && device.deviceId !== '')
      .map((device, i) => ({ id: device.deviceId, label: device.label || `${NAMES[kind]} ${i + 1}` }));
  return { camera: ofKind('camera'), microphone: ofKind('microphone'), speaker: ofKind('speaker') };
}

/** The chosen device if it is still there, else nothing: the browser's own default. */
export function presentDevice(list: DeviceList, kind: DeviceKind, id: string): string {
  return list[kind].some((device) => device.id === id) ? id : '';
}
