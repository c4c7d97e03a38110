/** `postern doctor` and `postern send-test` as commands: what is printed, exit codes, and that no secret is. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DoctorLab, MAILBOX } from '../support/doctor-lab.ts';
import { type Finished, postern } from '../support/process.ts';
import { secretsIn } from '../support/real/secrets.ts';

let lab: DoctorLab;
let file: string;

beforeAll(async () => {
  lab = await DoctorLab.start();
});
afterAll(() => lab.close());
beforeEach(() => {
  file = lab.folder.write('postern.yaml', lab.yaml());
  lab.sandbox.faults.submission.next.splice(0);
});

async function run(...args: string[]): Promise<Finished> {
  const finished = await postern([...args, '--config', file]).end();
  expect(secretsIn(finished.stdout + finished.stderr, lab.secrets)).toEqual([]);
  return finished;
}

function disableSmtpAuth(): void {
  const reply = '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.';
  lab.sandbox.faults.submission.next.push({ stage: 'auth', kind: 'reply', times: 3, reply });
}

describe('postern doctor', () => {
  it('prints aligned lines and a verdict, and exits with 0', async () => {
    const { code, stdout, stderr } = await run('doctor');
    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe(`billing (${MAILBOX}, lab)`);
    expect(lines[1]).toMatch(/^ {2}ok {4}config {10}provider lab/);
    for (const line of lines.slice(1, -1)) expect(line).toMatch(/^ {2}(ok {2}|skip|warn) {2}[a-z0-9-]+ +\S/);
    expect(lines.at(-1)).toMatch(/^postern doctor: nothing failed: \d+ ok, 0 warnings, \d+ skipped$/);
    expect(code).toBe(0);
  });

  it('prints what failed with a command to copy, and exits with 1', async () => {
    disableSmtpAuth();
    const { code, stdout } = await run('doctor', 'billing');
    expect(stdout).toMatch(/^ {2}FAIL {2}smtp-auth {7}SMTP AUTH is switched off for this mailbox.*\[UPSTREAM_SMTP_AUTH_DISABLED\]$/m);
    expect(stdout).toMatch(/^ {24}remedy: .*Set-CASMailbox -Identity billing@sandbox\.test -SmtpClientAuthenticationDisabled \$false/m);
    expect(stdout).toMatch(/postern doctor: 1 check failed, first billing: smtp-auth \[UPSTREAM_SMTP_AUTH_DISABLED\]; .*\n$/);
    expect(code).toBe(1);
  });

  it('prints one JSON list with --json', async () => {
    disableSmtpAuth();
    const { code, stdout } = await run('doctor', '--json');
    const entries = JSON.parse(stdout) as Record<string, unknown>[];
    expect(entries.map(({ check }) => check)).toEqual(expect.arrayContaining(['config', 'token', 'smtp-sender', 'pop3-auth']));
    expect(entries.find(({ check }) => check === 'smtp-auth')).toEqual({
      account: 'billing',
      check: 'smtp-auth',
      result: 'fail',
      detail: expect.stringContaining('535 5.7.139'),
      problem: 'UPSTREAM_SMTP_AUTH_DISABLED',
      remedy: expect.stringContaining('Set-CASMailbox'),
    });
    expect(code).toBe(1);
  });

  it('exits with 2 for an account that is not there, and names those that are', async () => {
    expect(await run('doctor', 'biling')).toMatchObject({ code: 2, stderr: expect.stringContaining('there are: billing') });
  });

  it('exits with 78 and every problem for a bad configuration', async () => {
    file = lab.folder.write('postern.yaml', lab.yaml({ account: { mailbx: 'x' }, auth: { tenant: '' } }));
    const { code, stderr, stdout } = await run('doctor');
    expect(code).toBe(78);
    expect(stderr).toMatch(/mailbx/);
    expect(stdout).toBe('');
  });

  it('has nothing to examine without an account', async () => {
    file = lab.folder.write('postern.yaml', 'accounts: []\n');
    expect(await run('doctor')).toMatchObject({ code: 0, stdout: expect.stringContaining('no account is configured') });
    expect(await run('doctor', '--json')).toMatchObject({ code: 0, stdout: '[]\n' });
  });
});

describe('postern send-test', () => {
  it('prints the reply of the provider, and exits with 0', async () => {
    const { code, stdout } = await run('send-test', 'billing', 'operator@example.test');
    expect(stdout).toMatch(
      /^from {5}billing@sandbox\.test\nto {7}operator@example\.test\nmessage {2}<.+>\nreply {4}250 2\.0\.0 OK .*\nok: /,
    );
    expect(code).toBe(0);
    expect(lab.sandbox.messages.list()).toHaveLength(1);
  });

  it('prints why it was refused and what to do, and exits with 1', async () => {
    lab.sandbox.faults.submission.next.push({ stage: 'final', kind: 'reply', reply: '554 5.2.252 SendAsDenied; no' });
    const { code, stdout } = await run('send-test', 'billing', 'operator@example.test');
    expect(stdout).toMatch(/^reply {4}554 5\.2\.252 SendAsDenied; no$/m);
    expect(stdout).toMatch(/^FAIL: .*\[UPSTREAM_REFUSED\]\n {6}remedy: .*SendAs/m);
    expect(code).toBe(1);
  });

  it('prints JSON', async () => {
    lab.sandbox.faults.submission.next.push({ stage: 'rcpt', kind: 'reply', reply: '550 5.1.10 not here' });
    const { code, stdout } = await run('send-test', 'billing', 'operator@example.test', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, account: 'billing', reply: '550 5.1.10 not here', problem: 'UPSTREAM_REFUSED' });
    expect(code).toBe(1);
  });

  it.each(['nobody', 'a@b,c@d', '<a@b>', 'a@b\r\nRCPT TO:<x@y>', ''])('exits with 2 for %j, which is no address', async (to) => {
    const { code, stderr } = await run('send-test', 'billing', to);
    expect(code).toBe(2);
    expect(stderr).toContain('not a mail address');
  });

  it('exits with 2 where something is missing', async () => {
    expect(await run('send-test', 'billing')).toMatchObject({ code: 2 });
    expect(await run('send-test', 'nobody', 'a@b.test')).toMatchObject({ code: 2 });
  });
});
