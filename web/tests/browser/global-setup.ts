/**
 * Serves, for the browser tests, the built page and the scenes of the meeting, both with the headers a server should send.
 */

import { fileURLToPath } from 'node:url';
import { build, preview, type PreviewServer } from 'vite';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    readonly pageUrl: string;
    readonly storyUrl: string;
  }
}

/** Not loopback for the browser, so that it is no secure context; tests map it to this machine. */
export const INSECURE_HOST = 'conclave.test';

const STORY = fileURLToPath(new URL('../story', import.meta.url));
const STORY_BUILD = fileURLToPath(new URL('../../node_modules/.story', import.meta.url));

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await build({ root: STORY, logLevel: 'warn', configFile: CONFIG, build: { outDir: STORY_BUILD } });
  const servers = [await serve(), await serve(STORY_BUILD)] as const;
  project.provide('pageUrl', addressOf(servers[0]));
  project.provide('storyUrl', addressOf(servers[1]));
  return async () => {
    await Promise.all(servers.map((server) => server.close()));
  };
}

const CONFIG = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

async function serve(outDir?: string): Promise<PreviewServer> {
  const options = { preview: { port: 0, allowedHosts: [INSECURE_HOST] }, logLevel: 'warn' as const, configFile: CONFIG };
  return preview(outDir === undefined ? options : { ...options, build: { outDir } });
}

function addressOf(server: PreviewServer): string {
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('invariant: the preview server listens');
  return url;
}
