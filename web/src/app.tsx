/**
 * Puts the screens together: welcome, lobby, meeting, end. The only place where components meet the media code.
 */

import type { JSX } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { roomUrl, siteUrl } from './entry';
import { Antechamber } from './media/antechamber';
import { loadPreferences, savePreferences } from './media/storage';
import type { Session } from './media/session';
import { firstScreen, nextScreen, type Screen, type ScreenEvent } from './model/screen';
import type { Route } from './model/route';
import { MeetingContext } from './ports';
import { Ended } from './ui/ended';
import { LobbyScreen } from './ui/lobby';
import { MeetingScreen } from './ui/meeting';
import { Welcome } from './ui/welcome';

export function App({ route }: { readonly route: Route }): JSX.Element {
  const [screen, setScreen] = useState<Screen<Session>>(() => firstScreen(route.room));
  const send = useCallback((event: ScreenEvent<Session>) => {
    setScreen((old) => nextScreen(old, event));
  }, []);
  switch (screen.at) {
    case 'welcome':
      return (
        <Welcome
          onChoose={(room) => {
            location.assign(roomUrl(room));
          }}
        />
      );
    case 'lobby':
      return <LobbyOf route={route} send={send} />;
    case 'meeting':
      return <MeetingOf session={screen.stay} send={send} />;
    case 'ended':
      return (
        <Ended
          ending={screen.ending}
          room={route.room}
          homeUrl={siteUrl('').href}
          onRejoin={() => {
            send({ type: 'rejoin' });
          }}
        />
      );
  }
}

type Send = (event: ScreenEvent<Session>) => void;

function LobbyOf({ route, send }: { readonly route: Route; readonly send: Send }): JSX.Element | null {
  const [antechamber, setAntechamber] = useState<Antechamber | null>(null);
  useEffect(() => {
    const opened = new Antechamber(route, (session) => {
      send({ type: 'joined', stay: session });
    });
    setAntechamber(opened);
    void opened.open();
    return () => {
      opened.close();
    };
  }, [route, send]);
  return antechamber && <LobbyScreen port={antechamber} />;
}

function MeetingOf({ session, send }: { readonly session: Session; readonly send: Send }): JSX.Element {
  useEffect(() => {
    const watch = (): void => {
      const { ending } = session.store.state;
      if (ending) send({ type: 'ended', ending });
    };
    watch();
    return session.store.subscribe(watch);
  }, [session, send]);
  const [shortcuts, setShortcuts] = useState(() => loadPreferences().shortcuts);
  const choose = (on: boolean): void => {
    setShortcuts(on);
    savePreferences({ shortcuts: on });
  };
  return (
    <MeetingContext.Provider value={session}>
      <MeetingScreen shortcuts={shortcuts} onShortcuts={choose} />
    </MeetingContext.Provider>
  );
}
