/**
 * The HTTP headers under which the page must work; the preview server sends them and the browser tests fail on any
 * violation. A server that hands out the page should send the same.
 */

const policy = [
  "default-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "media-src 'self' blob:",
  "worker-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
];

export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': policy.join('; '),
  'Permissions-Policy': 'camera=(self), microphone=(self), display-capture=(self), autoplay=(self)',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};
