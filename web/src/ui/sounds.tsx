/**
 * Plays everybody's sound, whether or not their tile is on the present page.
 */

import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Person } from '../model/people';
import { useMeetingPort } from '../ports';

export function Sounds({ people }: { readonly people: readonly Person[] }): JSX.Element {
  return (
    <div hidden>
      {people.flatMap((person) =>
        person.sounds.map((key) => <Sound key={key} sound={key} identity={person.identity} />),
      )}
    </div>
  );
}

function Sound({ sound, identity }: { readonly sound: string; readonly identity: string }): JSX.Element {
  const port = useMeetingPort();
  const ref = useRef<HTMLAudioElement>(null);
  useEffect(() => (ref.current ? port.playSound(sound, ref.current) : undefined), [port, sound]);
  return <audio ref={ref} autoplay data-participant={identity} data-track={sound} />;
}
