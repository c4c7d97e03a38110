/**
 * What an application reads, and what the operator finds in the log, when real servers refuse, defer or are gone.
 *
 * @packageDocumentation
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/real/daemon.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { arrived, type SampleMessage, sampleMessage } from '../support/real/messages.ts';
import { APP_ADDRESS, BILLING, configureRelay, LOGIN, PRINTERS, type Relay, startRelay } from '../support/real/postern.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { type SubmissionOrder, type SubmissionOutcome, submit, type Tool } from '../support/real/submit.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const TOOLS: readonly Tool[] = ['swaks', 'curl', 'smtplib'];
const WRONG_PASSWORD = 'mistyped-Passw0rd';
const DEAD_REFRESH_TOKEN = 'refresh-token-that-nobody-issued-0123456789';

/** One wrong thing, what the application reads, and what the log says. */
interface Refusal {
  readonly what: string;
  readonly order: Partial<SubmissionOrder>;
  /** Address in the From field, where it differs from the reverse-path. */
  readonly author?: string;
  readonly kind?: string;
  readonly isOnSmallListener?: boolean;
  readonly code: number;
  readonly text: RegExp;
  readonly problem: string;
  /** Undefined: no account is concerned. */
  readonly account: string | undefined;
}

const REFUSALS: readonly Refusal[] = [
  {
    what: 'wrong password',
    order: { login: { username: 'erp', password: WRONG_PASSWORD } },
    code: 535,
    text: /5\.7\.8/,
    problem: 'CLIENT_PASSWORD_WRONG',
    account: 'billing',
  },
  {
    what: 'unknown client',
    order: { login: { username: 'nobody', password: WRONG_PASSWORD } },
    code: 535,
    text: /5\.7\.8/,
    problem: 'CLIENT_UNKNOWN',
    account: undefined,
  },
  {
    what: 'reverse-path that the client may not use',
    order: { from: 'chief@postern.test' },
    code: 550,
    text: /5\.7\.1/,
    problem: 'SENDER_NOT_ALLOWED',
    account: 'billing',
  },
  {
    what: 'From that the client may not use',
    order: {},
    author: 'chief@postern.test',
    code: 550,
    text: /5\.7\.1/,
    problem: 'SENDER_NOT_ALLOWED',
    account: 'billing',
  },
  {
    what: 'message too large',
    order: {},
    kind: 'a quarter of a megabyte',
    isOnSmallListener: true,
    code: 552,
    text: /5\.3\.4/,
    problem: 'MESSAGE_TOO_LARGE',
    account: 'billing',
  },
  {
    what: 'recipient refused by the upstream',
    order: { to: ['refused@postern.test'] },
    code: 550,
    text: /5\.1\.1 .*No such mailbox here/,
    problem: 'UPSTREAM_REFUSED',
    account: 'billing',
  },
  {
    what: 'recipient deferred by the upstream',
    order: { to: ['deferred@postern.test'] },
    code: 451,
    text: /4\.7\.500 .*Server busy/,
    problem: 'UPSTREAM_DEFERRED',
    account: 'billing',
  },
  {
    what: 'full mailbox',
    order: { to: ['full@postern.test'] },
    code: 452,
    text: /4\.2\.2 .*Mailbox full/,
    problem: 'UPSTREAM_DEFERRED',
    account: 'billing',
  },
  {
    what: 'content refused by the upstream',
    order: { to: ['refused-content@postern.test'] },
    code: 554,
    text: /5\.6\.0 .*Message content rejected/,
    problem: 'UPSTREAM_REFUSED',
    account: 'billing',
  },
  {
    what: 'content deferred by the upstream',
    order: { to: ['deferred-content@postern.test'] },
    code: 451,
    text: /4\.3\.0 .*Content scanner is busy/,
    problem: 'UPSTREAM_DEFERRED',
    account: 'billing',
  },
  {
    what: 'reverse-path that the upstream does not let the mailbox use',
    order: { login: { ...LOGIN, username: 'anybody' }, from: PRINTERS },
    code: 553,
    text: /5\.7\.1 .*not owned by user billing@postern\.test/,
    problem: 'UPSTREAM_REFUSED',
    account: 'billing',
  },
];

describe.skipIf(notRun !== undefined)(`refusals with real servers${whyNotRun}`, () => {
  let servers: RealServers;
  let relay: Relay;
  let written = '';

  beforeAll(async () => {
    servers = await startRealServers();
    relay = await startRelay(await configureRelay(servers, { name: 'refusals', logLevel: 'trace' }));
  });
  afterAll(async () => {
    await relay?.stop();
    await servers?.stop();
  });

  function order(target: Relay, changes: Partial<SubmissionOrder>, author?: string, kind = 'a kilobyte of text'): SubmissionOrder {
    const { from = BILLING, to = ['somebody@postern.test'] } = changes;
    const message = sampleMessage(kind, author ?? from, to[0] ?? '');
    return { port: target.ports.off, tls: 'off', login: LOGIN, source: APP_ADDRESS, message, ...changes, from, to };
  }

  async function submitOne(tool: Tool, one: SubmissionOrder): Promise<SubmissionOutcome> {
    const [outcome] = await submit(tool, [one], { folder: servers.folder.path, caFile: servers.caFile, together: 1 });
    if (outcome === undefined) throw new Error('no outcome');
    return outcome;
  }

  const idsOf = async (mailbox: string): Promise<string[]> => (await servers.readMailbox(mailbox)).map((stored) => arrived(stored).id);
  const isLost = async ({ id }: SampleMessage, mailbox: string): Promise<boolean> => !(await idsOf(mailbox)).includes(id);

  /**
   * Since line `from` the log has gained a line with the problem, about the account, that says what happened and what to do. Other accounts may be
   * in the same trouble in the background.
   */
  async function expectExplained(target: Relay, from: number, code: string, account: string | undefined): Promise<void> {
    const explained = () => target.problems(code, from).filter((line) => line['account'] === account);
    // What the process has written reaches us a moment later.
    await eventually(() => explained().length > 0, 2000);
    expect(target.problems(code, from).map((line) => line['account'])).toContain(account);
    for (const line of explained())
      expect(line).toMatchObject({ cause: expect.stringMatching(/.{10}/), remedy: expect.stringMatching(/.{10}/) });
  }

  for (const refusal of REFUSALS) {
    it.each(TOOLS)(`${refusal.what}: ${refusal.code} (%s)`, async (tool) => {
      const port = refusal.isOnSmallListener === true ? { port: relay.ports.small } : {};
      const one = order(relay, { ...refusal.order, ...port }, refusal.author, refusal.kind);
      const logged = relay.log().length;
      const outcome = await submitOne(tool, one);
      expect(outcome).toMatchObject({ code: refusal.code, text: expect.stringMatching(refusal.text) });
      await expectExplained(relay, logged, refusal.problem, refusal.account);
      expect(await isLost(one.message, one.to[0] ?? '')).toBe(true);
    });
  }

  it('asks an unknown network to log in', async () => {
    const { login: _none, ...one } = order(relay, {});
    const logged = relay.log().length;
    expect(await submitOne('smtplib', one)).toMatchObject({ code: 530, text: expect.stringMatching(/^5\.7\.\d/) });
    await expectExplained(relay, logged, 'CLIENT_UNKNOWN', undefined);
  });

  it('delivers to the recipients that the upstream accepts, and says which it does not', async () => {
    const one = order(relay, { to: ['partly@postern.test', 'refused@postern.test', 'deferred@postern.test'] });
    const outcome = await submitOne('smtplib', one);
    expect(outcome).toMatchObject({
      code: 250,
      refused: {
        'refused@postern.test': expect.stringMatching(/^550 5\.1\.1 /),
        'deferred@postern.test': expect.stringMatching(/^451 4\.7\.500 /),
      },
    });
    expect(await idsOf('partly@postern.test')).toEqual([one.message.id]);
  });

  it('after each of these the next message passes', async () => {
    const one = order(relay, { to: ['after@postern.test'] });
    expect(await submitOne('smtplib', one)).toMatchObject({ code: 250 });
    expect(await idsOf('after@postern.test')).toEqual([one.message.id]);
  });

  it('upstream down: 451 4.4.1, and the next message passes once it is back', async () => {
    await servers.stopSmtp();
    const logged = relay.log().length;
    const outcome = await submitOne('smtplib', order(relay, { to: ['back@postern.test'] }));
    await servers.startSmtp();
    expect(outcome).toMatchObject({ code: 451, text: expect.stringMatching(/^4\.4\.1 /) });
    await expectExplained(relay, logged, 'UPSTREAM_UNREACHABLE', 'billing');
    const next = order(relay, { to: ['back@postern.test'] });
    expect(await submitOne('smtplib', next)).toMatchObject({ code: 250 });
    expect(await idsOf('back@postern.test')).toEqual([next.message.id]);
  });

  it.each(TOOLS)('token endpoint down: 451 4.7.x, never 535 (%s)', async (tool) => {
    const fresh = await startRelay(await configureRelay(servers, { name: `token-${tool}`, logLevel: 'trace' }));
    try {
      await servers.authorization.stop();
      const outcome = await submitOne(tool, order(fresh, {}));
      expect(outcome).toMatchObject({ code: 451, text: expect.stringMatching(/4\.7\.\d/) });
      // A reply line, not any 535: curl prints what it connected to, and a free port may be 25535.
      expect(outcome.text).not.toMatch(/^<\S*\s+535[ -]/m);
      await expectExplained(fresh, 0, 'TOKEN_ENDPOINT_UNREACHABLE', 'billing');
    } finally {
      await servers.authorization.start();
      await fresh.stop();
      written += fresh.output();
    }
  });

  it('refresh token no longer accepted: 454 4.7.0, and the log says who has to sign in', async () => {
    const configured = await configureRelay(servers, { name: 'dead', logLevel: 'trace' });
    servers.folder.write('relay-dead/billing.refresh-token', DEAD_REFRESH_TOKEN, 0o600);
    const dead = await startRelay(configured);
    try {
      const outcome = await submitOne('smtplib', order(dead, {}));
      expect(outcome).toMatchObject({ code: 454, text: expect.stringMatching(/^4\.7\.0 /) });
      await expectExplained(dead, 0, 'TOKEN_REAUTH_REQUIRED', 'billing');
    } finally {
      await dead.stop();
      written += dead.output();
    }
  });

  it('has written no password, token or client secret, not even at level trace', () => {
    const { delegated, application, issuedTokens } = servers.authorization;
    const passwords = [LOGIN.password, WRONG_PASSWORD, delegated.clientSecret, application.clientSecret, DEAD_REFRESH_TOKEN];
    written += relay.output();
    expect(written).toContain('"level":"trace"');
    expect(issuedTokens.length).toBeGreaterThan(1);
    expect(secretsIn(written, [...passwords, ...issuedTokens])).toEqual([]);
  });
});
