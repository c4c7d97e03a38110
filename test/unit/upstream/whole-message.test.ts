import { describe, expect, it } from 'vitest';
import { milliseconds, seconds } from '../../../src/core/clock.ts';
import type { Envelope } from '../../../src/core/envelope.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ehloReply, type ScriptedServerOptions } from '../../support/scripted-smtp-server.ts';
import { contentOf, eventually, type Lab, PLAIN, startLab } from './lab.ts';

const NO_PIPELINING = ehloReply('SIZE 1000000', '8BITMIME', 'AUTH XOAUTH2');

const envelope = (...addresses: string[]): Envelope => ({
  reversePath: 'billing@postern.test',
  parameters: PLAIN,
  forwardPaths: addresses.map((address) => ({ address })),
});

const relay = ({ pool, account }: Lab, addresses = ['a@example.test', 'b@example.test', 'c@example.test'], text = 'Hello.\r\n') =>
  pool.relay(account, envelope(...addresses), () => contentOf(text), seconds(10));

const codes = (result: Awaited<ReturnType<typeof relay>>): unknown[] =>
  result.answers.map((answer) => (answer === undefined ? undefined : `${answer.stage} ${answer.reply.code}`));

/** Answers to RCPT by local part; others are accepted. */
const byRecipient =
  (answers: Record<string, string>) =>
  (line: string): string =>
    answers[/<([^@]*)@/.exec(line)?.[1] ?? ''] ?? '250 2.1.5 Recipient OK';

const commands = ({ server }: Lab): string[] =>
  (server.sessions.at(-1)?.lines ?? []).flatMap((line) => (/^(?:MAIL|RCPT|DATA|RSET)/.exec(line) ? [line.slice(0, 4)] : []));

describe('a whole message', () => {
  it('costs two round trips on a warm session', async () => {
    const lab = await startLab();
    await relay(lab);
    const [session] = lab.server.sessions;
    const before = session?.flights ?? 0;
    await relay(lab);
    expect((session?.flights ?? 0) - before).toBe(2);
    expect(session?.batches.at(-2)).toHaveLength(5);
    expect(lab.server.sessions).toHaveLength(1);
  });

  it.each<[string, ScriptedServerOptions]>([
    ['pipelined', {}],
    ['step by step', { script: { ehloAfterTls: NO_PIPELINING } }],
  ])('%s: goes to those who are accepted, and tells each reply', async (_name, options) => {
    const answers = { b: '550 5.1.1 Unknown', c: '452 4.2.2 Mailbox full' };
    const lab = await startLab({ ...options, script: { ...options.script, rcpt: byRecipient(answers) } });
    const result = await relay(lab);
    expect(codes(result)).toEqual(['final-reply 250', 'rcpt 550', 'rcpt 452']);
    expect(lab.server.messages.map(String)).toEqual(['Hello.\r\n']);
    expect(result.isDsnPassedOn).toBe(options.script === undefined);
  });

  it('keeps the refusals of recipients where DATA, content or the connection then fails', async () => {
    const rcpt = byRecipient({ b: '550 5.1.1 Unknown' });
    const refusedData = await startLab({ script: { rcpt, data: '451 4.3.0 Later' } });
    expect(codes(await relay(refusedData))).toEqual(['data 451', 'rcpt 550', 'data 451']);
    const refusedContent = await startLab({ script: { rcpt, content: '554 5.6.0 Rejected' } });
    expect(codes(await relay(refusedContent))).toEqual(['final-reply 554', 'rcpt 550', 'final-reply 554']);
    const lost = await startLab({ script: { rcpt, content: 'close' } });
    const result = await relay(lost);
    expect(codes(result)).toEqual([undefined, 'rcpt 550', undefined]);
    expect(result.failure).toMatchObject({ stage: 'final-reply', problem: { code: 'UPSTREAM_AMBIGUOUS' } });
  });

  it('sends an empty message where every recipient was refused and DATA was accepted all the same', async () => {
    const lab = await startLab({ script: { rcpt: '550 5.1.1 Unknown', content: '554 5.5.1 No valid recipients' } });
    expect(codes(await relay(lab, ['a@example.test']))).toEqual(['rcpt 550']);
    expect(lab.server.messages.map(String)).toEqual(['']);
    lab.server.script.rcpt = '250 2.1.5 OK';
    delete lab.server.script.content;
    expect(codes(await relay(lab, ['a@example.test']))).toEqual(['final-reply 250']);
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('asks no further than makes sense where nothing may travel together', async () => {
    const lab = await startLab({ script: { ehloAfterTls: NO_PIPELINING, mail: '550 5.7.60 No' } });
    expect(codes(await relay(lab, ['a@example.test']))).toEqual(['mail 550']);
    expect(commands(lab)).toEqual(['MAIL']);
    lab.server.script.mail = '250 2.1.0 OK';
    lab.server.script.rcpt = '550 5.1.1 Unknown';
    expect(codes(await relay(lab, ['a@example.test']))).toEqual(['rcpt 550']);
    lab.server.script.rcpt = '250 2.1.5 OK';
    expect(codes(await relay(lab, ['a@example.test']))).toEqual(['final-reply 250']);
    expect(commands(lab)).toEqual(['MAIL', 'MAIL', 'RCPT', 'RSET', 'MAIL', 'RCPT', 'DATA']);
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('goes on with the same session after MAIL was refused and all else with it', async () => {
    const lab = await startLab({ script: { mail: '550 5.7.60 No', rcpt: '503 5.5.1 No MAIL', data: '503 5.5.1 No MAIL' } });
    expect(codes(await relay(lab))).toEqual(['mail 550', 'mail 550', 'mail 550']);
    Object.assign(lab.server.script, { mail: undefined, rcpt: undefined, data: undefined });
    expect(codes(await relay(lab))).toEqual(['final-reply 250', 'final-reply 250', 'final-reply 250']);
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('cuts a session that takes content after it has refused MAIL', async () => {
    const lab = await startLab({ script: { mail: '550 5.7.60 No' } });
    expect(codes(await relay(lab, ['a@example.test']))).toEqual(['mail 550']);
    await lab.server.until(() => lab.server.open === 0);
    expect(lab.server.messages).toEqual([]);
  });

  it('says nothing where the address cannot be said', async () => {
    const lab = await startLab({ script: { ehloAfterTls: ehloReply('PIPELINING', 'AUTH XOAUTH2') } });
    const { pool, account } = lab;
    const message = { ...envelope('a@example.test'), reversePath: 'rené@postern.test' };
    const result = await pool.relay(account, message, () => contentOf('x\r\n'), seconds(10));
    expect(codes(result)).toEqual(['mail 553']);
    expect(commands(lab)).toEqual([]);
  });

  it.each(['close', 'reset', '421 4.3.2 Service not active', '530 5.7.57 Client was not authenticated'])(
    'replaces a warm session that answers MAIL with %s, unseen',
    async (answer) => {
      const lab = await startLab();
      await relay(lab);
      let isFirst = true;
      lab.server.script.mail = () => {
        const said = isFirst ? answer : '250 2.1.0 OK';
        isFirst = false;
        return said;
      };
      const [first] = lab.server.sessions;
      lab.server.script.data = (_line, count, session) => (session === first && count === 2 ? '503 5.5.1 No MAIL' : '354 Go');
      expect(codes(await relay(lab))).toEqual(['final-reply 250', 'final-reply 250', 'final-reply 250']);
      expect(lab.server.sessions).toHaveLength(2);
      expect(lab.server.messages).toHaveLength(2);
    },
  );

  it('waits for a connection no longer than told, and says so as a value', async () => {
    const clock = new FakeClock();
    const lab = await startLab({ clock, connections: 1, script: { content: 'silence' } });
    const first = relay(lab);
    await eventually(() => lab.server.sessions[0]?.isDotSeen === true);
    const second = lab.pool.relay(lab.account, envelope('a@example.test'), () => contentOf('x\r\n'), milliseconds(500));
    await clock.advance(seconds(1));
    expect(await second).toMatchObject({ answers: [undefined], failure: { stage: 'wait', problem: { code: 'UPSTREAM_BUSY' } } });
    await clock.advance(seconds(600));
    expect((await first).failure).toMatchObject({ stage: 'final-reply' });
  });

  it('is ambiguous, not aborted, where the pool is closed while the final reply is awaited', async () => {
    const lab = await startLab({ script: { content: 'silence' } });
    const result = relay(lab);
    await eventually(() => lab.server.sessions[0]?.isDotSeen === true);
    await lab.pool.close(milliseconds(1));
    expect((await result).failure).toMatchObject({ stage: 'final-reply', problem: { code: 'UPSTREAM_AMBIGUOUS' } });
  });
});
