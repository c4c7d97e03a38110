import { describe, expect, it } from 'vitest';
import { type EpochMs, hours, minutes, seconds } from '../../../src/core/clock.ts';
import { contentOf, eventually, failureOf, PLAIN, relay, startLab } from './lab.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-port.ts';

describe('a message', () => {
  it('travels signed in, over verified TLS', async () => {
    const lab = await startLab();
    const transaction = await lab.open();
    expect(transaction).toMatchObject({ upstream: `localhost:${lab.server.port}`, user: 'billing@postern.test' });
    expect(await relay(transaction, 'Subject: x\r\n\r\n', '..dot\r\n')).toEqual({
      code: 250,
      enhancedCode: '2.0.0',
      text: ['OK <1@mail.test> [Hostname=mail.test]'],
    });
    const [session] = lab.server.sessions;
    expect(session?.lines).toEqual([
      'EHLO relay.postern.test',
      'STARTTLS',
      'EHLO relay.postern.test',
      'AUTH XOAUTH2',
      Buffer.from('user=billing@postern.test\x01auth=Bearer first-access-token\x01\x01').toString('base64'),
      'MAIL FROM:<billing@postern.test>',
      'RCPT TO:<to@example.test>',
      'DATA',
    ]);
    expect(session?.messages.map(String)).toEqual(['Subject: x\r\n\r\n..dot\r\n']);
    expect(session?.clear.toString()).toBe('EHLO relay.postern.test\r\nSTARTTLS\r\n');
  });

  it('costs two waits before its content on a warm session, and one after', async () => {
    const lab = await startLab();
    await relay(await lab.open());
    const [session] = lab.server.sessions;
    const before = session?.flights ?? 0;
    const transaction = await lab.open();
    const recipients = ['a@x.test', 'b@x.test', 'c@x.test'].map((address) => transaction.addForwardPath({ address }));
    await transaction.startContent();
    await Promise.all(recipients);
    expect((session?.flights ?? 0) - before).toBe(2);
    expect(session?.batches.slice(-2)).toEqual([
      ['MAIL FROM:<billing@postern.test>'],
      ['RCPT TO:<a@x.test>', 'RCPT TO:<b@x.test>', 'RCPT TO:<c@x.test>', 'DATA'],
    ]);
    await transaction.submitContent(contentOf('Subject: x\r\n\r\n', 'y\r\n'));
    expect((session?.flights ?? 0) - before).toBe(3);
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('whose MAIL is refused gives the session back', async () => {
    const lab = await startLab({ script: { mail: '550 5.7.60 SMTP; Client does not have permissions to send as this sender' } });
    for (let round = 0; round < 3; round += 1) {
      const begun = await lab.begin();
      expect(begun).toEqual({ reply: expect.objectContaining({ code: 550, enhancedCode: '5.7.60' }) });
    }
    expect(lab.server.sessions).toHaveLength(1);
  });
});

describe('connections', () => {
  it('U04 are never more than the account may have, however many messages come at once', async () => {
    const lab = await startLab({ connections: 3 });
    const replies = await Promise.all(Array.from({ length: 50 }, async () => relay(await lab.open())));
    expect(replies.filter(({ code }) => code === 250)).toHaveLength(50);
    expect(lab.server.messages).toHaveLength(50);
    expect(lab.server.peak).toBeLessThanOrEqual(3);
    expect(lab.server.sessions).toHaveLength(3);
    expect(lab.tokens.asked).toBe(3);
  });

  it('are not exceeded either while sessions fail and are replaced', async () => {
    const lab = await startLab({
      connections: 2,
      pool: { messages: 3 },
      script: { content: (_line, count) => (count % 2 === 0 ? { say: '250 2.0.0 OK', ends: 'close' } : '250 2.0.0 OK') },
    });
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, async () => relay(await lab.open())));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(40);
    expect(lab.server.messages).toHaveLength(40);
    expect(lab.server.peak).toBeLessThanOrEqual(2);
    expect(lab.server.sessions.length).toBeGreaterThan(10);
  });

  it('are waited for with patience, and no longer', async () => {
    const clock = new FakeClock();
    const lab = await startLab({ connections: 1, clock });
    const held = await lab.open();
    const failed = failureOf(lab.begin(seconds(20)));
    const patient = lab.begin(seconds(40));
    await clock.advance(seconds(20));
    expect(await failed).toMatchObject({ stage: 'wait', problem: { code: 'UPSTREAM_BUSY' }, reply: { code: 451, enhancedCode: '4.3.2' } });
    held.abandon();
    expect((await patient).reply).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(1);
    expect(lab.server.sessions[0]?.lines.slice(-3)).toEqual([
      'MAIL FROM:<billing@postern.test>',
      'RSET',
      'MAIL FROM:<billing@postern.test>',
    ]);
  });

  it('are handed on in the order of asking', async () => {
    const lab = await startLab({ connections: 1 });
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3, 4, 5].map(async (number) => {
        const transaction = await lab.open();
        order.push(number);
        await relay(transaction);
      }),
    );
    expect(order).toEqual([1, 2, 3, 4, 5]);
  });

  it('U04 become one fewer for a while after the provider has counted too many', async () => {
    const clock = new FakeClock();
    const lab = await startLab({ connections: 3, clock });
    const held = await lab.open();
    const other = await lab.open();
    lab.server.script.mail = '432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending';
    expect((await lab.begin()).reply).toMatchObject({ code: 432, enhancedCode: '4.3.2' });
    delete lab.server.script.mail;
    expect(lab.log.of('upstream-connections-reduced')).toHaveLength(1);
    await lab.server.until(() => lab.server.open === 2);
    await eventually(() => lab.pool.connections('billing') === 2);
    const waiting = lab.begin(minutes(2));
    await clock.advance(seconds(30));
    expect(lab.server.sessions).toHaveLength(3);
    await clock.advance(seconds(30));
    expect((await waiting).reply).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(4);
    held.abandon();
    other.abandon();
  });

  it('that cannot be opened leave no place taken', async () => {
    const lab = await startLab({ connections: 1, endpoint: { port: await freePort() } });
    for (let round = 0; round < 3; round += 1) {
      const error = await failureOf(lab.begin());
      expect(error).toMatchObject({
        stage: 'connect',
        problem: { code: 'UPSTREAM_UNREACHABLE' },
        reply: { code: 451, enhancedCode: '4.4.1' },
      });
      expect(error.problem.cause).toContain('refused');
    }
    expect(lab.pool.connections('billing')).toBe(0);
  });
});

describe('a warm session', () => {
  it('is used again, and counted', async () => {
    const lab = await startLab();
    for (let round = 0; round < 5; round += 1) expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(1);
    expect(lab.server.sessions[0]?.messages).toHaveLength(5);
  });

  it('is replaced after so many messages, with a QUIT', async () => {
    const lab = await startLab({ connections: 1, pool: { messages: 2 } });
    for (let round = 0; round < 5; round += 1) await relay(await lab.open());
    expect(lab.server.sessions.map(({ messages }) => messages.length)).toEqual([2, 2, 1]);
    expect(lab.server.sessions[0]?.lines.at(-1)).toBe('QUIT');
    expect(lab.server.peak).toBe(1);
  });

  it('ends after a minute of idleness, with a QUIT', async () => {
    const clock = new FakeClock();
    const lab = await startLab({ clock });
    await relay(await lab.open());
    await clock.advance(seconds(59));
    expect(lab.pool.connections('billing')).toBe(1);
    await clock.advance(seconds(1));
    await lab.server.until(() => lab.server.open === 0);
    expect(lab.server.sessions[0]?.lines.at(-1)).toBe('QUIT');
    await eventually(() => lab.pool.connections('billing') === 0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not outlive its token', async () => {
    const clock = new FakeClock();
    const lab = await startLab({ clock, connections: 1, pool: { idle: hours(10) } });
    lab.tokens.current = { ...lab.tokens.current, expiresAt: (clock.now() + hours(1)) as EpochMs };
    await relay(await lab.open());
    await clock.advance(minutes(59));
    await relay(await lab.open());
    expect(lab.server.sessions).toHaveLength(1);
    await clock.advance(minutes(1));
    await relay(await lab.open());
    expect(lab.server.sessions).toHaveLength(2);
    expect(lab.server.peak).toBe(1);
  });

  it('that the server has closed while it was idle is forgotten', async () => {
    const lab = await startLab();
    await relay(await lab.open());
    lab.server.sessions[0]?.say('421 4.4.1 Connection timed out');
    lab.server.sessions[0]?.end();
    await eventually(() => lab.pool.connections('billing') === 0);
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(2);
  });

  it.each([
    ['closes', 'close'],
    ['resets the connection', 'reset'],
    ['says 421', '421 4.4.2 Timeout'],
    ['says nonsense', 'what?'],
    ['has forgotten who we are', '530 5.7.57 Client not authenticated to send mail'],
    ['goes on talking', '250 2.1.0 OK\r\n250 2.1.0 OK'],
  ] as const)('that %s when it gets its next MAIL is replaced, unseen', async (_what, answer) => {
    const lab = await startLab({ connections: 1 });
    lab.server.script.mail = (_line, count, session) =>
      count === 2 && session === lab.server.sessions[0] ? answer : '250 2.1.0 Sender OK';
    await relay(await lab.open());
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(2);
    expect(lab.server.messages).toHaveLength(2);
    expect(lab.server.peak).toBe(1);
    await eventually(() => lab.pool.connections('billing') === 1);
  });

  it('that is dead is replaced once: a new session that fails too is an error', async () => {
    const lab = await startLab({ connections: 1 });
    await relay(await lab.open());
    lab.server.script.mail = 'close';
    expect(await failureOf(lab.begin())).toMatchObject({
      stage: 'mail',
      problem: { code: 'UPSTREAM_LOST' },
      reply: { code: 451, enhancedCode: '4.4.2' },
    });
    expect(lab.server.sessions).toHaveLength(2);
    await eventually(() => lab.pool.connections('billing') === 0);
  });

  it('that refuses RSET is not used again', async () => {
    const lab = await startLab({ connections: 1, script: { rset: '500 5.5.1 What?' } });
    (await lab.open()).abandon();
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(2);
  });
});

describe('a transaction that is given up', () => {
  it('before DATA is reset, and its session used again', async () => {
    const lab = await startLab({ connections: 1 });
    const transaction = await lab.open();
    void transaction.addForwardPath({ address: 'a@x.test' });
    transaction.abandon();
    transaction.abandon();
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(1);
    expect(lab.server.sessions[0]?.lines.filter((line) => line === 'RSET')).toHaveLength(1);
  });

  it.each(['while DATA is asked', 'after 354'])('%s is cut, and nothing is delivered', async (when) => {
    const lab = await startLab({ connections: 1 });
    const transaction = await lab.open();
    const asked = [transaction.addForwardPath({ address: 'a@x.test' }), transaction.startContent()];
    if (when === 'after 354') await Promise.all(asked);
    transaction.abandon();
    await Promise.allSettled(asked);
    await lab.server.until(() => lab.server.open === 0);
    expect(lab.server.messages).toEqual([]);
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.messages).toHaveLength(1);
  });

  it('after its end changes nothing', async () => {
    const lab = await startLab({ connections: 1 });
    const transaction = await lab.open();
    await relay(transaction);
    transaction.abandon();
    await expect(transaction.startContent()).rejects.toThrow('over');
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions[0]?.lines).not.toContain('RSET');
  });
});

describe('closing the pool', () => {
  it('says QUIT on idle sessions and waits for busy ones', async () => {
    const lab = await startLab({ connections: 2 });
    const [idle, busy] = await Promise.all([lab.open(), lab.open()]);
    await relay(idle);
    const closed = lab.pool.close(seconds(60));
    await lab.server.until(() => lab.server.open === 1);
    expect(await relay(busy)).toMatchObject({ code: 250 });
    await closed;
    await lab.server.until(() => lab.server.open === 0);
    expect(lab.server.messages).toHaveLength(2);
    expect(lab.server.sessions.map(({ lines }) => lines.at(-1))).toEqual(['QUIT', 'QUIT']);
  });

  it('turns away those who wait, and those who come later', async () => {
    const lab = await startLab({ connections: 1 });
    const busy = await lab.open();
    const waiting = failureOf(lab.begin());
    const closed = lab.pool.close(seconds(60));
    for (const failed of [waiting, failureOf(lab.begin())]) {
      expect(await failed).toMatchObject({
        stage: 'wait',
        problem: { code: 'UPSTREAM_BUSY' },
        reply: { code: 451, enhancedCode: '4.3.2' },
      });
    }
    busy.abandon();
    await closed;
    expect(lab.pool.connections('billing')).toBe(0);
  });

  it('cuts what is left after its grace, whatever it is doing', async () => {
    const clock = new FakeClock();
    const lab = await startLab({ connections: 3, clock });
    const busy = await lab.open();
    await busy.addForwardPath({ address: 'a@x.test' });
    await busy.startContent();
    lab.server.script.auth = 'silence';
    const signingIn = failureOf(lab.begin());
    await lab.server.until(() => lab.server.sessions[1]?.lines.at(-1) === 'AUTH XOAUTH2');
    const closed = lab.pool.close(seconds(8));
    await clock.advance(seconds(8));
    await closed;
    expect(await signingIn).toMatchObject({ stage: 'auth', reply: { code: 451 } });
    await lab.server.until(() => lab.server.open === 0);
    expect(lab.server.messages).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('an account whose settings have changed', () => {
  it('goes on with its sessions where only its secret is another', async () => {
    const lab = await startLab();
    await relay(await lab.open());
    const renewed = { ...lab.account, auth: { ...lab.account.auth, refreshToken: 'another-seed' } } as typeof lab.account;
    const { transaction } = await lab.pool.begin(renewed, 'billing@postern.test', PLAIN, seconds(10));
    if (transaction === undefined) throw new Error('MAIL was refused');
    expect((await relay(transaction)).code).toBe(250);
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('signs in anew where the mailbox is another, and the message under way ends as it began', async () => {
    const lab = await startLab();
    const underWay = await lab.open();
    const moved = { ...lab.account, smtpUser: 'sales@postern.test' };
    const { transaction } = await lab.pool.begin(moved, 'sales@postern.test', PLAIN, seconds(10));
    if (transaction === undefined) throw new Error('MAIL was refused');
    expect(transaction.user).toBe('sales@postern.test');
    expect((await relay(underWay)).code).toBe(250);
    expect((await relay(transaction)).code).toBe(250);
    await eventually(() => lab.pool.connections('billing') === 1 && lab.server.sessions[0]?.lines.at(-1) === 'QUIT');
    expect(lab.server.sessions).toHaveLength(2);
  });

  it('serves those who already waited for one of the old sessions', async () => {
    const lab = await startLab({ connections: 1 });
    const underWay = await lab.open();
    const waiting = lab.begin();
    const moved = { ...lab.account, smtpUser: 'sales@postern.test' };
    const begun = await lab.pool.begin(moved, 'sales@postern.test', PLAIN, seconds(10));
    expect(begun.transaction?.user).toBe('sales@postern.test');
    await relay(underWay);
    const served = await waiting;
    expect(served.transaction?.user).toBe('billing@postern.test');
    served.transaction?.abandon();
    begun.transaction?.abandon();
  });
});
