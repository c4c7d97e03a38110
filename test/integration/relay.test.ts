/** The whole relay against the sandbox: what arrives, what the application reads, and what the operator finds in the log. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { type SubmitOptions, submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const running: RelayOnSandbox[] = [];

async function relay(changes?: Parameters<typeof startRelayOnSandbox>[0]): Promise<RelayOnSandbox> {
  const started = await startRelayOnSandbox(changes);
  running.push(started);
  return started;
}

afterEach(async () => {
  for (const started of running.splice(0)) {
    const text = JSON.stringify(started.log.lines);
    const leaked = started.secrets.filter((secret) => text.includes(secret));
    await started.close();
    if (leaked.length > 0) throw new Error(`${leaked.length} secrets in the log`);
  }
});

describe('a message', () => {
  it('goes through with the password of a client, signed in upstream as the mailbox', async () => {
    const { port, sandbox, log } = await relay();
    const answer = await submit({ port, login: LOGIN, content: 'From: billing@sandbox.test\r\nSubject: hello\r\n\r\n.dot\r\nlast\r\n' });
    expect(answer).toMatchObject({ code: 250 });
    expect(answer.response).toMatch(/^250 2\.0\.0 OK <.*\[postern [0-9A-Z]{16}\]$/);
    const [message] = sandbox.messages.list();
    expect(message).toMatchObject({ user: 'billing@sandbox.test', reversePath: 'billing@sandbox.test', subject: 'hello' });
    expect(log.of('message-relayed')).toHaveLength(1);
    expect(log.of('message-relayed')[0]).toMatchObject({ client: 'erp', account: 'billing', forwardPaths: ['someone@example.test'] });
  });

  it('goes through with no password from the network of a client', async () => {
    const { port, sandbox } = await relay();
    expect(await submit({ port, localAddress: '127.0.0.2' })).toMatchObject({ code: 250 });
    expect(sandbox.messages.list()).toHaveLength(1);
  });

  it('from a sender that is not allowed goes through as the mailbox, where the client says so, and the log says what was changed', async () => {
    const { port, sandbox, log } = await relay();
    const content = 'From: "Scanner 2" <scanner@floor2.local>\r\nSubject: scan\r\n\r\nFrom: text\r\n';
    expect(await submit({ port, localAddress: '127.0.0.3', from: 'scanner@floor2.local', content })).toMatchObject({ code: 250 });
    const [message] = sandbox.messages.list();
    expect(message?.reversePath).toBe('billing@sandbox.test');
    const raw = sandbox.messages.content(message?.id ?? '')?.toString('latin1') ?? '';
    expect(raw.slice(raw.indexOf('From: "'))).toBe(
      [
        'From: "Scanner 2" <billing@sandbox.test>',
        'Reply-To: "Scanner 2" <scanner@floor2.local>',
        'X-Original-From: "Scanner 2" <scanner@floor2.local>',
        'Subject: scan',
        '',
        'From: text',
        '',
      ].join('\r\n'),
    );
    expect(log.of('sender-rewritten').map((line) => line.message)).toEqual([
      'the reverse-path rewritten from "scanner@floor2.local" to "billing@sandbox.test"',
      'From rewritten from "scanner@floor2.local" to "billing@sandbox.test"',
    ]);
    expect(new Set(log.of('sender-rewritten').map((line) => line.queueId))).toEqual(new Set([log.of('message-relayed')[0]?.queueId]));
  });

  it('goes to each recipient that the upstream accepts, and each refusal is said', async () => {
    const { port, sandbox } = await relay();
    sandbox.faults.submission.next.push({
      stage: 'rcpt',
      address: 'gone@*',
      kind: 'reply',
      reply: '550 5.1.10 RESOLVER.ADR.RecipientNotFound',
    });
    expect(await submit({ port, login: LOGIN, to: ['a@example.test', 'gone@example.test'] })).toMatchObject({ code: 250 });
    expect(sandbox.messages.list()[0]?.forwardPaths.map(({ address }) => address)).toEqual(['a@example.test']);
  });
});

describe('five hundred applications at once, with an expired access token and a token endpoint that takes 500 ms', () => {
  it('K01 cause exactly one request for a token, and each gets its answer', async () => {
    // The queue takes what does not get through at once, so that nobody waits for one of three connections.
    const { port, sandbox } = await relay({ mode: 'queue' });
    expect(await submit({ port, login: LOGIN })).toMatchObject({ code: 250 });
    await expect.poll(() => sandbox.messages.list().length, { timeout: 20_000 }).toBe(1);
    const before = sandbox.statistics.token.requests.refresh_token;
    sandbox.mint.revokeAccessTokens();
    sandbox.faults.token.next.push({ kind: 'delay', milliseconds: 500 });
    const answers = await Promise.all(Array.from({ length: 500 }, () => submit({ port, login: LOGIN })));
    expect(answers.filter(({ code }) => code === 250)).toHaveLength(500);
    await expect.poll(() => sandbox.messages.list().length, { timeout: 60_000 }).toBe(501);
    expect(sandbox.statistics.token.requests.refresh_token - before).toBe(1);
  }, 120_000);
});

describe('fifty applications at once, with an expired access token', () => {
  it('cause one refresh and are all served, within three connections', async () => {
    const { port, sandbox } = await relay();
    expect(await submit({ port, login: LOGIN })).toMatchObject({ code: 250 });
    const before = sandbox.statistics.token.requests.refresh_token;
    sandbox.mint.revokeAccessTokens();
    sandbox.faults.token.next.push({ kind: 'delay', milliseconds: 200 });
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => submit({ port, login: LOGIN, content: `Subject: ${index}\r\n\r\nx\r\n` })),
    );
    expect(answers.map(({ code }) => code)).toEqual(Array.from({ length: 50 }, () => 250));
    expect(sandbox.statistics.token.requests.refresh_token - before).toBe(1);
    const subjects = sandbox.messages.list().map(({ subject }) => subject);
    expect(new Set(subjects).size).toBe(51);
    expect(sandbox.statistics.submission.mostOpen).toBeLessThanOrEqual(3);
  });
});

interface Refusal {
  readonly name: string;
  readonly options?: Partial<SubmitOptions>;
  readonly changes?: Parameters<typeof startRelayOnSandbox>[0];
  readonly prepare?: (started: RelayOnSandbox) => void | Promise<void>;
  readonly answer: RegExp;
  readonly problem: string;
}

const refusals: readonly Refusal[] = [
  {
    name: 'a wrong password',
    options: { login: { user: 'erp', pass: 'wrong' } },
    answer: /^535 5\.7\.8/,
    problem: 'CLIENT_PASSWORD_WRONG',
  },
  { name: 'an unknown client', options: { login: { user: 'nobody', pass: 'wrong' } }, answer: /^535 5\.7\.8/, problem: 'CLIENT_UNKNOWN' },
  { name: 'no login from an unknown network', options: {}, answer: /^530 5\.7\.0/, problem: 'CLIENT_UNKNOWN' },
  {
    name: 'a sender that is not allowed',
    options: { login: LOGIN, from: 'boss@sandbox.test' },
    answer: /^550 5\.7\.1/,
    problem: 'SENDER_NOT_ALLOWED',
  },
  {
    name: 'a From that is not allowed',
    options: { login: LOGIN, content: 'From: boss@sandbox.test\r\n\r\nx\r\n' },
    answer: /^550 5\.7\.1/,
    problem: 'SENDER_NOT_ALLOWED',
  },
  {
    name: 'a message that is too large',
    changes: { listener: { maxSize: '10KB' } },
    options: { login: LOGIN, content: `Subject: x\r\n\r\n${'x'.repeat(70)}\r\n`.repeat(200) },
    answer: /^552 5\.3\.4/,
    problem: 'MESSAGE_TOO_LARGE',
  },
  {
    name: 'a refusal by the upstream',
    options: { login: LOGIN },
    prepare: ({ sandbox }) =>
      void sandbox.faults.submission.next.push({ stage: 'final', kind: 'reply', reply: '554 5.2.252 SendAsDenied; no' }),
    answer: /^554 5\.2\.252 SendAsDenied; no/,
    problem: 'UPSTREAM_REFUSED',
  },
  {
    name: 'a token endpoint that is down',
    options: { login: LOGIN },
    changes: { auth: {} },
    prepare: ({ sandbox }) => {
      sandbox.mint.revokeAccessTokens();
      for (let count = 0; count < 20; count += 1) sandbox.faults.token.next.push({ kind: 'status', status: 503 });
    },
    answer: /^451 4\.7\.0/,
    problem: 'TOKEN_ENDPOINT_BUSY',
  },
  {
    name: 'a dead refresh token',
    options: { login: LOGIN },
    prepare: ({ sandbox }) => {
      sandbox.mint.revokeAccessTokens();
      sandbox.mint.revokeRefreshTokens();
    },
    answer: /^45[14] 4\.7\.0/,
    problem: 'TOKEN_REAUTH_REQUIRED',
  },
  {
    name: 'SMTP AUTH switched off for the mailbox',
    options: { login: LOGIN },
    prepare: ({ sandbox }) =>
      void sandbox.faults.submission.next.push({
        stage: 'auth',
        kind: 'reply',
        times: 5,
        reply:
          '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled',
      }),
    answer: /^454 4\.7\.0/,
    problem: 'UPSTREAM_SMTP_AUTH_DISABLED',
  },
  {
    name: 'an upstream that is down',
    changes: { smtp: { port: 1 } },
    options: { login: LOGIN },
    answer: /^451 4\.4\.1/,
    problem: 'UPSTREAM_UNREACHABLE',
  },
  {
    name: 'an upstream without STARTTLS',
    options: { login: LOGIN },
    prepare: ({ sandbox }) => void (sandbox.faults.submission.offersStartTls = false),
    answer: /^451 4\.7\.5/,
    problem: 'UPSTREAM_TLS_FAILED',
  },
  {
    name: 'an upstream with a certificate for another host',
    options: { login: LOGIN },
    prepare: ({ sandbox }) => void (sandbox.faults.submission.certificate = 'wrong-host'),
    answer: /^451 4\.7\.5/,
    problem: 'UPSTREAM_TLS_FAILED',
  },
  {
    name: 'a connection lost after the final dot',
    options: { login: LOGIN },
    prepare: ({ sandbox }) => void sandbox.faults.submission.next.push({ stage: 'final', kind: 'drop' }),
    answer: /^451 4\.4\.2/,
    problem: 'UPSTREAM_AMBIGUOUS',
  },
];

describe('a refusal names account, cause and remedy in the log and says the right code to the application', () => {
  it.each(refusals)('$name', async ({ options, changes, prepare, answer, problem }) => {
    const started = await relay(changes);
    await prepare?.(started);
    const said = await submit({ port: started.port, ...options });
    expect(said.response).toMatch(answer);
    const line = started.log.lines.find((entry) => entry.problem?.code === problem);
    expect(line, `a log line with ${problem}: ${JSON.stringify(started.log.lines)}`).toBeDefined();
    expect(line?.problem?.cause).toMatch(/\w/);
    expect(line?.problem?.remedy).toMatch(/\w/);
    expect(line?.account).toBe(problem === 'CLIENT_UNKNOWN' ? undefined : 'billing');
  });
});

describe('what is left on disk', () => {
  it('is encrypted and readable by its owner only', async () => {
    const { port, stateDir, secrets } = await relay();
    await submit({ port, login: LOGIN });
    const files = readdirSync(stateDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThanOrEqual(2);
    for (const file of files) {
      const path = join(file.parentPath, file.name);
      expect(statSync(path).mode & 0o077).toBe(0);
      for (const secret of secrets) expect(readFileSync(path, 'latin1')).not.toContain(secret);
    }
  });
});
