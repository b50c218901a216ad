/** Starts the page. */

import { render } from 'preact';
import { App } from './app';
import { enterRoute } from './entry';

const page = document.getElementById('page');
if (!page) throw new Error('invariant: the document has a place for the page');
render(<App route={enterRoute()} />, page);
