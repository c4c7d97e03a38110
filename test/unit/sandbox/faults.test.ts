import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FaultSyntaxError, parseFaults } from '../../../src/sandbox/fault-parser.ts';
import { defaultFaults, setFaults, takeSubmissionFault, takeTokenFault } from '../../../src/sandbox/faults.ts';

const docs = readFileSync(new URL('../../../docs/sandbox.md', import.meta.url), 'utf8');

describe('taking faults', () => {
  it('goes in order and counts down', () => {
    const faults = defaultFaults();
    faults.token.next.push({ kind: 'html', times: 2 }, { kind: 'hang' });
    expect([1, 2, 3, 4].map(() => takeTokenFault(faults)?.kind)).toEqual(['html', 'html', 'hang', undefined]);
  });

  it('finds the first that fits stage and address', () => {
    const faults = defaultFaults();
    faults.submission.next.push(
      { stage: 'mail', kind: 'drop' },
      { stage: 'rcpt', kind: 'stall', address: 'a*@b*.test' },
      { stage: 'rcpt', kind: 'drop', address: 'exact@b.test' },
    );
    expect(takeSubmissionFault(faults, 'rcpt', 'x@b.test')).toBeUndefined();
    expect(takeSubmissionFault(faults, 'rcpt', 'EXACT@b.test')?.kind).toBe('drop');
    expect(takeSubmissionFault(faults, 'rcpt', 'ab@b.c.test')?.kind).toBe('stall');
    expect(takeSubmissionFault(faults, 'mail')?.kind).toBe('drop');
    expect(faults.submission.next).toEqual([]);
  });

  it.each([
    ['*', 'a@b', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['*b*b*', 'xbyb', true],
    ['*b*b*', 'xb', false],
    ['a*b*c', 'abc', true],
    ['a*bc*c', 'abc', false],
    ['', 'a', false],
  ])('pattern %j on %j: %s', (address, subject, isMatch) => {
    const faults = defaultFaults();
    faults.submission.next.push({ stage: 'rcpt', kind: 'drop', address });
    expect(takeSubmissionFault(faults, 'rcpt', subject) !== undefined).toBe(isMatch);
  });

  it('takes linear time for hostile patterns', () => {
    const faults = defaultFaults();
    faults.submission.next.push({ stage: 'rcpt', kind: 'drop', address: `${'*a'.repeat(1_000)}*b` });
    expect(takeSubmissionFault(faults, 'rcpt', 'a'.repeat(30_000))).toBeUndefined();
  });
});

describe('switches over HTTP', () => {
  it('leave what they do not name at the base', () => {
    const base = defaultFaults();
    base.token.reuseDetection = true;
    const parsed = parseFaults({ submission: { offersXoauth2: false } }, base);
    expect(parsed.submission).toEqual({ ...defaultFaults().submission, offersXoauth2: false });
    expect(parsed.token.reuseDetection).toBe(true);
  });

  it('take back what they gave', () => {
    const faults = defaultFaults();
    faults.token.next.push({ kind: 'expires-in', value: '1' }, { kind: 'aadsts', number: 1 });
    faults.submission.next.push({ stage: 'final', kind: 'drop', keepsMessage: false, times: 3 });
    const parsed = parseFaults(JSON.parse(JSON.stringify(faults)), defaultFaults());
    expect(parsed).toEqual(faults);
    const other = defaultFaults();
    setFaults(other, parsed);
    expect(other).toEqual(faults);
  });

  it.each([
    [null, 'faults must be an object'],
    [[], 'faults must be an object'],
    [{ tokens: {} }, 'faults.tokens is not a switch; there are: token, submission'],
    [{ token: { nxt: [] } }, 'faults.token.nxt is not a switch'],
    [JSON.parse('{"token":{"__proto__":{}}}'), 'faults.token.__proto__ is not a switch'],
    [{ token: { reuseDetection: 1 } }, 'faults.token.reuseDetection must be true or false'],
    [{ token: { accessTokenLifetimeSeconds: 1.5 } }, 'faults.token.accessTokenLifetimeSeconds must be one of random'],
    [{ token: { next: [{ kind: 'aadsts' }] } }, 'faults.token.next[0].number is missing'],
    [{ token: { next: [{ kind: 'bang' }] } }, 'faults.token.next[0].kind must be one of aadsts'],
    [{ token: { next: [{ kind: 'too-many-requests', retryAfter: 'a\r\nb' }] } }, 'retryAfter must be 1 to 200 printable characters'],
    [{ token: { next: {} } }, 'faults.token.next must be a list'],
    [{ submission: { next: [{ kind: 'drop' }] } }, 'faults.submission.next[0].stage is missing'],
    [{ submission: { next: [{ kind: 'drop', stage: 'bdat' }] } }, 'stage must be one of connect'],
    [{ submission: { next: [{ kind: 'drop', stage: 'mail', reply: 'x' }] } }, 'reply is not a switch'],
    [{ submission: { next: [{ kind: 'reply', stage: 'mail', reply: 'no' }] } }, 'must be a whole SMTP reply'],
    [{ submission: { maxSendSize: 1e12 } }, 'must be a whole number from 1 to 157286400'],
  ])('refuse %j', (value, message) => {
    expect(() => parseFaults(value, defaultFaults())).toThrow(FaultSyntaxError);
    expect(() => parseFaults(value, defaultFaults())).toThrow(message);
  });
});

describe('docs/sandbox.md', () => {
  it('names every switch', () => {
    const missing = Object.values(defaultFaults())
      .flatMap((room) => Object.keys(room))
      .filter((name) => !docs.includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });

  it('names every kind of fault', () => {
    const kindsIn = (room: 'token' | 'submission' | 'mailbox'): string[] => {
      const value = { [room]: { next: [{ kind: '' }] } };
      const message = (() => {
        try {
          parseFaults(value, defaultFaults());
          return '';
        } catch (error) {
          return error instanceof Error ? error.message : '';
        }
      })();
      return (message.split('one of ')[1] ?? '').split(', ');
    };
    const kinds = [...kindsIn('token'), ...kindsIn('submission'), ...kindsIn('mailbox')];
    expect(kinds).toHaveLength(22);
    expect(kinds.filter((kind) => !docs.includes(`\`${kind}\``))).toEqual([]);
  });

  it('has curl lines that the sandbox takes', () => {
    const bodies = [...docs.matchAll(/\/faults -d '([^']+)'/g)].map((match) => match[1] ?? '');
    expect(bodies.length).toBeGreaterThan(20);
    for (const body of bodies) expect(parseFaults(JSON.parse(body), defaultFaults())).not.toEqual(defaultFaults());
  });
});
