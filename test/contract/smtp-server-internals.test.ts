/**
 * The sandbox subclasses smtp-server through parts of it that are not a promised interface. This holds the parts against the version they were read in.
 *
 * It fails on purpose when the package is updated. Then: read the new code of each method named, beside src/sandbox/submission/exchange-connection.ts and
 * submission-server.ts, which override or rely on it; run test/unit/sandbox and test/integration; then put the new version and digests here.
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { describe, expect, test } from 'vitest';

const VERSION = '3.21.6';

/** Overridden or relied upon, with a digest of the source text. */
const INTERNALS = {
  SMTPConnection: {
    constructor: '22b910db4cccf185',
    init: '1265a7d7ca8f5510',
    connectionReady: '361a2b1de88fbf67',
    _sendGreeting: 'dc5cd4bb4b93013f',
    send: 'c33568c0111a58b2',
    close: '4b80aaabd134a732',
    _setListeners: 'cf07ab6f47db09ac',
    _onClose: '097b8d221da5c5ad',
    _onCommand: '41c8a1b7a32aa314',
    upgrade: '6a3fa8a3ee413745',
  },
  SMTPServer: {
    constructor: 'b0af626032424dd4',
    connect: '9818ea13a1c36459',
    close: '9084d18828ade08d',
  },
} as const;

const CLASSES = { SMTPConnection, SMTPServer };

test('the version is the one that was read', () => {
  const { version } = createRequire(import.meta.url)('smtp-server/package.json') as { version: string };
  expect(version, 'smtp-server was updated: do what the head of this file says').toBe(VERSION);
});

describe.each(['SMTPConnection', 'SMTPServer'] as const)('%s', (className) => {
  test.each(Object.entries(INTERNALS[className]))('%s', (name, digest) => {
    const source = sourceOf(CLASSES[className], name);
    expect(source, `${className}.${name} is gone: do what the head of this file says`).not.toBe('');
    const actual = createHash('sha256').update(source).digest('hex').slice(0, 16);
    expect(actual, `${className}.${name} has changed: do what the head of this file says`).toBe(digest);
  });
});

/** Of a constructor the part of the class text up to the first method behind it. */
function sourceOf(owner: new (...args: never[]) => object, name: string): string {
  const method = (owner.prototype as Record<string, unknown>)[name];
  if (name !== 'constructor') return typeof method === 'function' ? Function.prototype.toString.call(method) : '';
  const text = Function.prototype.toString.call(owner);
  const start = text.indexOf('constructor(');
  return text.slice(start, text.indexOf('\n    }\n', start));
}
