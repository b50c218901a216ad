/**
 * Draws one scene of the meeting without a server: `?scene=<name>`. Part of the tests, never of the built page.
 * The components are the real ones; pictures are drawn on canvases and travel as real streams.
 */

import { render, type JSX } from 'preact';
import { useState } from 'preact/hooks';
import { MeetingContext } from '../../src/ports';
import '../../src/styles/index.css';
import { MeetingScreen } from '../../src/ui/meeting';
import { ScenePort } from './port';
import { SCENES } from './scenes';

const name = new URLSearchParams(location.search).get('scene') ?? 'two';
const actions = SCENES[name];
if (!actions) throw new Error(`no scene ${name}`);
const port = new ScenePort();
for (const action of actions) port.store.dispatch(action);

function Story(): JSX.Element {
  const [shortcuts, setShortcuts] = useState(true);
  return (
    <MeetingContext.Provider value={port}>
      <MeetingScreen shortcuts={shortcuts} onShortcuts={setShortcuts} />
    </MeetingContext.Provider>
  );
}

const page = document.getElementById('page');
if (page) render(<Story />, page);
