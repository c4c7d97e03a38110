/** Order, skipping, surprises; and how outcomes look to a person, to a script. */
import { describe, expect, it } from 'vitest';
import { type Check, CHECK_NAMES, type Finding, fail, type Outcome, ok, skip, warn } from '../../../src/doctor/check.ts';
import { CHECKS } from '../../../src/doctor/checks.ts';
import { PROBLEMS, type ProblemCode, ProblemError, problem } from '../../../src/core/problem.ts';
import { inDoctor } from '../../../src/doctor/remedies.ts';
import { withNames } from '../../../src/core/remedy-names.ts';
import { describeAccount, describeOutcome, describeVerdict, hasFailed, toJson } from '../../../src/doctor/report.ts';
import { runChecks } from '../../../src/doctor/run-checks.ts';
import { testAccount } from '../../support/accounts.ts';
import { testExamination } from '../../support/examination.ts';

const unchanged = (finding: Finding): Finding => finding;

async function run(checks: readonly Check[], edit = unchanged): Promise<{ outcomes: Outcome[]; told: Outcome[] }> {
  const told: Outcome[] = [];
  const outcomes = await runChecks(checks, testExamination().examination, edit, (outcome) => void told.push(outcome));
  return { outcomes, told };
}

const check = (name: Check['name'], finding: Finding | (() => Finding), needs: Check['needs'] = []): Check => ({
  name,
  needs,
  run: () => (typeof finding === 'function' ? finding() : finding),
});

describe('runChecks', () => {
  it('tells each outcome in order, as it comes', async () => {
    const { outcomes, told } = await run([check('state', ok('one')), check('token', ok('two'), ['state'])]);
    expect(told).toEqual([
      { check: 'state', result: 'ok', detail: 'one' },
      { check: 'token', result: 'ok', detail: 'two' },
    ]);
    expect(outcomes).toEqual(told);
  });

  it('skips what needs a check that failed, and what needs that', async () => {
    const never = (): Finding => {
      throw new Error('must not run');
    };
    const { outcomes } = await run([
      check('state', fail(problem('STATE_KEY_UNUSABLE'))),
      check('token', never, ['state']),
      check('token-content', never, ['token']),
    ]);
    expect(outcomes.slice(1)).toEqual([
      { check: 'token', result: 'skip', detail: 'needs state' },
      { check: 'token-content', result: 'skip', detail: 'needs state' },
    ]);
  });

  it('passes on why a needed check was skipped, and lets a warning pass', async () => {
    const { outcomes } = await run([
      check('state', warn(problem('SECRET_ENDING'))),
      check('imap-connect', skip('no IMAP here'), ['state']),
      check('imap-auth', ok('never'), ['imap-connect']),
    ]);
    expect(outcomes[2]).toEqual({ check: 'imap-auth', result: 'skip', detail: 'no IMAP here' });
  });

  it('turns a ProblemError into its problem and anything else into a defect', async () => {
    const thrown = (error: Error) => (): Finding => {
      throw error;
    };
    const { outcomes } = await run([
      check('state', thrown(new ProblemError(problem('TOKEN_STORE_FAILED', 'broken disk')))),
      check('clock', thrown(new TypeError('x is not a function'))),
    ]);
    expect(outcomes[0]).toMatchObject({ result: 'fail', detail: 'broken disk', problem: 'TOKEN_STORE_FAILED', remedy: expect.any(String) });
    expect(outcomes[1]).toMatchObject({ result: 'fail', detail: 'clock: x is not a function', problem: 'INTERNAL' });
  });

  it('lets the editor have the last word', async () => {
    const { outcomes } = await run([check('state', ok('secret'))], (finding) => ({ ...finding, detail: '[secret]' }));
    expect(outcomes[0]?.detail).toBe('[secret]');
  });
});

describe('the list of checks', () => {
  it('holds each name once, in order, and needs only what comes before', () => {
    expect(CHECKS.map(({ name }) => name)).toEqual([...CHECK_NAMES]);
    for (const [index, { needs }] of CHECKS.entries()) {
      const before = CHECKS.slice(0, index).map(({ name }) => name);
      expect(before).toEqual(expect.arrayContaining([...needs]));
    }
  });
});

describe('a remedy that doctor shows', () => {
  it.each(Object.entries(PROBLEMS))('does not send its reader to where they are: %s', (code) => {
    const finding = inDoctor(fail(problem(code as ProblemCode)));
    expect(finding.remedy).not.toMatch(/postern doctor|in the log line/);
    expect(finding.remedy?.length).toBeGreaterThan(5);
  });

  it('is that of a finer table where there is one', () => {
    const finding = fail(problem('UPSTREAM_UNREACHABLE', 'cause', { remedy: 'finer' }));
    expect(inDoctor(finding)).toEqual(finding);
  });
});

describe('withNames', () => {
  it('makes commands that can be copied', () => {
    const account = testAccount({ name: 'erp', mailbox: 'erp@contoso.test' });
    const remedy =
      'postern login ACCOUNT; Get-Mailbox MAILBOX; New-ServicePrincipal -AppId CLIENT_ID; providers.NAME.smtp; ACCOUNTING stays';
    expect(withNames({ result: 'fail', detail: 'ACCOUNT stays here', remedy }, account)).toEqual({
      result: 'fail',
      detail: 'ACCOUNT stays here',
      remedy:
        'postern login erp; Get-Mailbox erp@contoso.test; New-ServicePrincipal -AppId test-client; providers.lab.smtp; ACCOUNTING stays',
    });
  });

  it('leaves a finding without remedy alone', () => {
    expect(withNames(ok('fine'), testAccount())).toEqual(ok('fine'));
  });
});

describe('the report', () => {
  const outcomes: readonly Outcome[] = [
    { check: 'config', ...ok('provider lab') },
    { check: 'smtp-auth', ...fail(problem('UPSTREAM_AUTH_REFUSED', 'refused', { remedy: 'do this' })) },
    { check: 'secret-end', ...warn(problem('SECRET_ENDING', 'soon', { remedy: 'renew' })) },
    { check: 'imap-auth', ...skip('no IMAP') },
  ];

  it('aligns its columns and indents remedies', () => {
    expect(describeAccount(testAccount()) + outcomes.map(describeOutcome).join('')).toBe(
      [
        'billing (billing@postern.test, lab)',
        '  ok    config          provider lab',
        '  FAIL  smtp-auth       refused [UPSTREAM_AUTH_REFUSED]',
        '                        remedy: do this',
        '  warn  secret-end      soon [SECRET_ENDING]',
        '                        remedy: renew',
        '  skip  imap-auth       no IMAP',
        '',
      ].join('\n'),
    );
  });

  it('ends in one line that names the first failure', () => {
    const examined = [{ account: 'billing', outcomes }];
    expect(hasFailed(examined)).toBe(true);
    expect(describeVerdict(examined)).toBe(
      'postern doctor: 1 check failed, first billing: smtp-auth [UPSTREAM_AUTH_REFUSED]; 1 ok, 1 warning, 1 skipped\n',
    );
  });

  it('says so where nothing failed', () => {
    const examined = [{ account: 'billing', outcomes: outcomes.filter(({ result }) => result !== 'fail') }];
    expect(hasFailed(examined)).toBe(false);
    expect(describeVerdict(examined)).toBe('postern doctor: nothing failed: 1 ok, 1 warning, 1 skipped\n');
  });

  it('is a flat list for scripts', () => {
    expect(toJson([{ account: 'billing', outcomes }])[1]).toEqual({
      account: 'billing',
      check: 'smtp-auth',
      result: 'fail',
      detail: 'refused',
      problem: 'UPSTREAM_AUTH_REFUSED',
      remedy: 'do this',
    });
  });
});
