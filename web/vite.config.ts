/**
 * How the page is built, previewed and tested.
 * The build lands in `../server/page`, from where the server hands it out.
 */

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { pageHeaders } from './page-headers.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: here('../server/page'),
    emptyOutDir: true,
    target: 'es2022',
    // A module inlined as a data: address would need a looser content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  experimental: {
    // The same document answers at `/` and at `/meet/<room>`; one step up leads both to the root.
    renderBuiltUrl: (file, { hostType }) => (hostType === 'html' ? `../${file}` : { relative: true }),
  },
  preview: { host: '127.0.0.1', headers: pageHeaders, strictPort: true },
  server: { host: '127.0.0.1' },
  test: {
    projects: [
      { test: { name: 'unit', include: ['tests/unit/**/*.test.ts'] } },
      {
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          globalSetup: ['tests/browser/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
