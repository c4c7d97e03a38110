import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../../src/observability/log.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';

const TOKEN = `eyJ0eXAiOiJKV1QifQ.${'aZ09-_'.repeat(200)}.sig+/=`;
const PASSWORD = 'p"a\\s% wörd';

/** Strings full of what JSON escapes. */
const AWKWARD = fc.string({ unit: fc.constantFrom('\\', '"', '\n', '\u0001', 'u', '0', '1', 'a'), maxLength: 14 });

function scrubberWith(...secrets: string[]): Scrubber {
  const scrubber = new Scrubber();
  for (const secret of secrets) scrubber.add(secret);
  return scrubber;
}

describe('the scrubber', () => {
  const leaks: readonly [string, (secret: string) => string][] = [
    ['in clear', (secret) => `token ${secret} refused`],
    ['in a URL', (secret) => `https://x.test/?t=${encodeURIComponent(secret)}&a=b`],
    ['in JSON', (secret) => JSON.stringify({ deep: { list: [secret] } })],
    ['in hex', (secret) => Buffer.from(secret).toString('hex')],
    ['in base64', (secret) => Buffer.from(secret).toString('base64')],
    ['in AUTH PLAIN', (secret) => `AUTH PLAIN ${Buffer.from(`\0erp\0${secret}`).toString('base64')}`],
    ['in XOAUTH2', (secret) => Buffer.from(`user=a@b.test\u0001auth=Bearer ${secret}\u0001\u0001`).toString('base64')],
    ['in base64url', (secret) => Buffer.from(`x${secret}`).toString('base64url')],
  ];

  it.each(leaks)('removes a secret %s', (_name, leak) => {
    for (const secret of [TOKEN, PASSWORD]) {
      const clean = scrubberWith(secret).scrub(leak(secret));
      expect(clean).toContain('[secret]');
      expect(clean).not.toContain(secret);
      // Nothing of the secret's own base64 stays, but for the two or three characters that its neighbours share.
      expect(clean).not.toContain(Buffer.from(secret).toString('base64').slice(8, 20));
    }
  });

  it('removes a token that was cut off in the middle', () => {
    expect(scrubberWith(TOKEN).scrub(`got ${TOKEN.slice(0, 300)}… instead`)).toBe('got [secret]… instead');
  });

  it('L02 leaves a JSON line parseable wherever the secret stands', () => {
    fc.assert(
      fc.property(
        AWKWARD.filter((text) => text.length >= 6),
        AWKWARD,
        AWKWARD,
        (secret, before, after) => {
          const clean = scrubberWith(secret).scrub(JSON.stringify({ text: before + secret + after }));
          expect(() => JSON.parse(clean) as unknown).not.toThrow();
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('forgets old rotating tokens but never a lasting secret', () => {
    const scrubber = scrubberWith('configured-secret');
    for (let index = 0; index < 600; index += 1) scrubber.add(`rotating-token-${index}`, 'rotating');
    expect(scrubber.scrub('configured-secret rotating-token-599')).toBe('[secret] [secret]');
    expect(scrubber.scrub('rotating-token-3')).toBe('rotating-token-3');
  });
});

describe('the log', () => {
  function logged(format: 'json' | 'pretty'): string {
    const lines: string[] = [];
    const log = createLog({ level: 'info', format }, scrubberWith(PASSWORD), { write: (line) => void lines.push(line) });
    log.debug({ event: 'unseen' }, 'below the level');
    log.warn(
      {
        event: 'message-deferred',
        account: 'billing',
        error: new Error(`login with ${PASSWORD} failed`),
        problem: { code: 'UPSTREAM_LOST', cause: 'gone\r\nFAKE LINE', heals: 'by-itself', remedy: 'Nothing.' },
      },
      'not relayed',
    );
    return lines.join('');
  }

  it('writes one JSON line with problem, cause and remedy, and no secret', () => {
    const text = logged('json');
    expect(text.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(text)).toMatchObject({
      level: 'warn',
      account: 'billing',
      problem: 'UPSTREAM_LOST',
      cause: 'gone\r\nFAKE LINE',
      remedy: 'Nothing.',
    });
    expect(text).not.toContain('wörd');
  });

  it('writes for a person with the remedy below', () => {
    const text = logged('pretty');
    expect(text).toMatch(/WARN {2}not relayed/);
    expect(text).toMatch(/remedy: Nothing\./);
    expect(text).not.toContain('wörd');
    expect(text).not.toContain('below the level');
    expect(text).not.toMatch(/^FAKE LINE/m);
  });
});
