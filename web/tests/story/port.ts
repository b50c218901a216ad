/**
 * A meeting port without a server: switches flip at once, pictures are drawn.
 */

import type { DeviceKind, DeviceList } from '../../src/model/devices';
import { newMeeting, reduceMeeting, type Action, type Meeting, type Own } from '../../src/model/meeting';
import type { MeetingPort } from '../../src/ports';
import { Store } from '../../src/store';

export class ScenePort implements MeetingPort {
  readonly store = new Store<Meeting, Action>(newMeeting('Garden committee'), reduceMeeting);
  private sent = 0;

  showPicture(key: string, element: HTMLVideoElement): () => void {
    element.srcObject = drawnStream(key);
    return () => {
      element.srcObject = null;
    };
  }

  playSound(): () => void {
    return () => undefined;
  }

  toggleMicrophone(): Promise<void> {
    return this.flip('microphone');
  }

  toggleCamera(): Promise<void> {
    return this.flip('camera');
  }

  toggleShare(): Promise<void> {
    return this.flip('share');
  }

  sendMessage(text: string): Promise<boolean> {
    this.sent += 1;
    const message = { id: `own-${this.sent}`, identity: 'p0', name: 'You', text, at: 1.8e12, isSelf: true };
    this.store.dispatch({ type: 'message', message });
    return Promise.resolve(true);
  }

  devices(): Promise<DeviceList> {
    const list = (kind: string): { id: string; label: string }[] =>
      ['Built-in', 'External'].map((label) => ({ id: label, label: `${label} ${kind}` }));
    return Promise.resolve({ camera: list('camera'), microphone: list('microphone'), speaker: list('speaker') });
  }

  activeDevice(_kind: DeviceKind): string {
    return 'Built-in';
  }

  chooseDevice(): Promise<void> {
    return Promise.resolve();
  }

  startSound(): Promise<void> {
    this.store.dispatch({ type: 'sound_blocked', blocked: false });
    return Promise.resolve();
  }

  leave(): Promise<void> {
    this.store.dispatch({ type: 'ended', ending: 'left' });
    return Promise.resolve();
  }

  private flip(device: keyof Pick<Own, 'microphone' | 'camera' | 'share'>): Promise<void> {
    const next = this.store.state.own[device] === 'on' ? 'off' : 'on';
    this.store.dispatch({ type: 'own', own: { [device]: next } });
    return Promise.resolve();
  }
}

/** A person against a wall, or a page of text for keys that begin with `screen`. */
function drawnStream(key: string): MediaStream {
  const canvas = document.createElement('canvas');
  canvas.width = 640;
  canvas.height = 360;
  const context = canvas.getContext('2d');
  if (!context) throw new Error('invariant: a canvas can be drawn on');
  const hue = Array.from(key).reduce((sum, character) => (sum * 97 + character.charCodeAt(0) * 53) % 360, 7);
  const draw = key.startsWith('screen') ? drawText : drawPerson;
  draw(context, hue);
  // A stream carries a frame only when something is drawn after the capture began.
  const stream = canvas.captureStream();
  setTimeout(() => {
    draw(context, hue);
  }, 50);
  return stream;
}

function drawPerson(context: CanvasRenderingContext2D, hue: number): void {
  const wall = context.createLinearGradient(0, 0, 640, 360);
  wall.addColorStop(0, `hsl(${hue} 24% 72%)`);
  wall.addColorStop(1, `hsl(${hue + 40} 22% 44%)`);
  context.fillStyle = wall;
  context.fillRect(0, 0, 640, 360);
  context.fillStyle = `hsl(${hue + 180} 28% 32%)`;
  context.beginPath();
  context.ellipse(320, 390, 150, 160, 0, 0, Math.PI * 2);
  context.fill();
  context.fillStyle = `hsl(${20 + (hue % 20)} 42% ${40 + (hue % 35)}%)`;
  context.beginPath();
  context.ellipse(320, 165, 66, 84, 0, 0, Math.PI * 2);
  context.fill();
}

function drawText(context: CanvasRenderingContext2D): void {
  context.fillStyle = '#fdfdfb';
  context.fillRect(0, 0, 640, 360);
  context.fillStyle = '#26332e';
  context.font = '28px serif';
  context.fillText('Planting plan, spring', 48, 66);
  context.font = '16px sans-serif';
  for (let line = 0; line < 9; line += 1) context.fillText(`${line + 1}.  Bed ${line + 1}: beans, marigold, thyme`, 48, 110 + line * 26);
}
