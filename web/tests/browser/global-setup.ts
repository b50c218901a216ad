/**
 * Serves the built page for the browser tests, with the headers a server should send.
 */

import { preview } from 'vite';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    readonly pageUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await preview({ preview: { port: 0 }, logLevel: 'silent' });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('invariant: the preview server listens');
  project.provide('pageUrl', url);
  return async () => {
    await server.close();
  };
}
