/**
 * smtp-server is subclassed through parts of it that are not a promised interface. This holds the parts against the version they were read in.
 *
 * It fails on purpose when the package is updated. Then: read the new code of each method named, beside src/listener/smtp-session.ts,
 * listener-engine.ts and command-stream.ts, which override or rely on it; run test/dialog and test/property; then put the new version and digests here.
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { describe, expect, test } from 'vitest';

const VERSION = '3.21.6';

/** Overridden or relied upon, with a digest of the source text. */
const INTERNALS = {
  SMTPConnection: {
    constructor: '22b910db4cccf185',
    init: '1265a7d7ca8f5510',
    send: 'c33568c0111a58b2',
    close: '4b80aaabd134a732',
    _createParser: '15ca8c360137e06a',
    _setListeners: 'cf07ab6f47db09ac',
    _onCloseEvent: '66ef4e7f2f7250b0',
    _onClose: '097b8d221da5c5ad',
    _onError: 'ddcc47e46ea941e0',
    _onTimeout: 'f21be62dd64b1dec',
    _armTimeout: 'b8bc04964752b32f',
    _whenWritable: '4335aceb04b5eb3a',
    _onCommand: '41c8a1b7a32aa314',
    _resetSession: '2bf7682ca13869a0',
    upgrade: '6a3fa8a3ee413745',
  },
  SMTPServer: {
    constructor: 'b0af626032424dd4',
    connect: '9818ea13a1c36459',
    updateSecureContext: '643afa2b7bfe4d0d',
    _acceptSocket: 'f4c69396f94c5c50',
    _handleProxy: 'b52456c48b0458fe',
    _upgrade: '2d34eaba8e47830d',
    _resolveSNI: '2552460a41b8377f',
    _onError: '01d6f6dc6b8d6e90',
  },
  SMTPStream: {
    constructor: 'ef40d6e993f32c93',
    startDataMode: 'd007d5db8cb9dad7',
    continue: 'ce5856923c797749',
    _write: 'a72635ce53e24b3a',
    _feedDataStream: '9d8b903f9a3a6354',
    _flushData: '84553453dd028d62',
    _endDataMode: '7de0cf3d06716328',
  },
} as const;

const CLASSES = { SMTPConnection, SMTPServer, SMTPStream };

test('the version is the one that was read', () => {
  const { version } = createRequire(import.meta.url)('smtp-server/package.json') as { version: string };
  expect(version, 'smtp-server was updated: do what the head of this file says').toBe(VERSION);
});

describe.each(['SMTPConnection', 'SMTPServer', 'SMTPStream'] as const)('%s', (className) => {
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
