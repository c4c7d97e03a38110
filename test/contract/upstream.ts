/**
 * The contract of the Upstream port, for every implementation and every fake that stands in for one.
 *
 * @packageDocumentation
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Account } from '../../src/core/account.ts';
import { seconds } from '../../src/core/clock.ts';
import type { Envelope, MailParameters } from '../../src/core/envelope.ts';
import { type Upstream, UpstreamError, type UpstreamTransaction } from '../../src/core/ports/upstream.ts';

/** A step at which the provider can be made to answer otherwise. */
export type ContractStep = 'mail' | 'rcpt' | 'data' | 'content';

/** An implementation with a provider behind it that says yes to everything unless told. */
export interface UpstreamUnderTest {
  readonly upstream: Upstream;
  readonly account: Account;
  /** From now on the provider answers `step` with this line, or, with `'close'`, ends the connection. */
  answer(step: ContractStep, line: string): void;
  /** Content of the messages that the provider has taken, in order. */
  delivered(): readonly string[];
  close(): Promise<void>;
}

const PLAIN: MailParameters = { isSmtpUtf8: false, isRequireTls: false };

async function* content(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
}

/** Run the contract. */
export function upstreamContract(name: string, create: () => Promise<UpstreamUnderTest>): void {
  describe(`Upstream contract: ${name}`, () => {
    let tested: UpstreamUnderTest | undefined;
    afterEach(async () => tested?.close());

    const start = async (): Promise<UpstreamUnderTest> => {
      tested = await create();
      return tested;
    };
    const begin = ({ upstream, account }: UpstreamUnderTest) => upstream.begin(account, 'billing@postern.test', PLAIN, seconds(10));
    const open = async (lab: UpstreamUnderTest): Promise<UpstreamTransaction> => {
      const { transaction } = await begin(lab);
      if (transaction === undefined) throw new Error('MAIL was refused');
      return transaction;
    };

    it('delivers a message and answers with the final reply', async () => {
      const lab = await start();
      lab.answer('content', '250 2.6.0 Taken as <1@provider>');
      const transaction = await open(lab);
      expect(transaction.user).toBe('billing@postern.test');
      expect(transaction.upstream).toMatch(/^.+:\d+$/);
      expect(await transaction.addForwardPath({ address: 'to@example.test' })).toMatchObject({ code: 250 });
      expect(await transaction.startContent()).toMatchObject({ code: 354 });
      const reply = await transaction.submitContent(content('Subject: x\r\n\r\n', '..stuffed\r\n'));
      expect(reply).toEqual({ code: 250, enhancedCode: '2.6.0', text: ['Taken as <1@provider>'] });
      expect(lab.delivered()).toEqual(['Subject: x\r\n\r\n..stuffed\r\n']);
    });

    it('answers RCPT in order when nobody waits in between', async () => {
      const lab = await start();
      const transaction = await open(lab);
      const first = transaction.addForwardPath({ address: 'a@example.test' });
      const second = transaction.addForwardPath({ address: 'b@example.test' });
      const data = transaction.startContent();
      expect((await Promise.all([first, second, data])).map(({ code }) => code)).toEqual([250, 250, 354]);
      transaction.abandon();
    });

    it.each([
      ['550 5.7.60 Not as this sender', 550, '5.7.60'],
      ['451 4.7.500 Busy', 451, '4.7.500'],
    ])('answers a refused MAIL (%s) with a value and no transaction', async (line, code, enhancedCode) => {
      const lab = await start();
      lab.answer('mail', line);
      const begun = await begin(lab);
      expect(begun.reply).toMatchObject({ code, enhancedCode });
      expect(begun.transaction).toBeUndefined();
    });

    it('answers a refused RCPT, DATA and content with values', async () => {
      const lab = await start();
      lab.answer('rcpt', '550 5.1.1 Unknown');
      const first = await open(lab);
      expect(await first.addForwardPath({ address: 'a@example.test' })).toMatchObject({ code: 550, enhancedCode: '5.1.1' });
      first.abandon();
      lab.answer('rcpt', '250 2.1.5 OK');
      lab.answer('data', '451 4.3.0 Later');
      const second = await open(lab);
      await second.addForwardPath({ address: 'a@example.test' });
      expect(await second.startContent()).toMatchObject({ code: 451, enhancedCode: '4.3.0' });
      lab.answer('data', '354 Go');
      lab.answer('content', '552 5.3.4 Too big');
      const third = await open(lab);
      await third.addForwardPath({ address: 'a@example.test' });
      await third.startContent();
      expect(await third.submitContent(content('x\r\n'))).toMatchObject({ code: 552, enhancedCode: '5.3.4' });
    });

    it('says that a message may have been delivered where the connection is lost after the dot', async () => {
      const lab = await start();
      lab.answer('content', 'close');
      const transaction = await open(lab);
      await transaction.addForwardPath({ address: 'a@example.test' });
      await transaction.startContent();
      const failed = transaction.submitContent(content('x\r\n'));
      await expect(failed).rejects.toBeInstanceOf(UpstreamError);
      await expect(failed).rejects.toMatchObject({ stage: 'final-reply', problem: { code: 'UPSTREAM_AMBIGUOUS' }, reply: { code: 451 } });
    });

    it('throws what the content throws, and delivers nothing', async () => {
      const lab = await start();
      const transaction = await open(lab);
      await transaction.addForwardPath({ address: 'a@example.test' });
      await transaction.startContent();
      const failure = new Error('the application vanished');
      const failing = (async function* (): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(Buffer.from('half\r\n'));
        throw failure;
      })();
      await expect(transaction.submitContent(failing)).rejects.toBe(failure);
      expect(lab.delivered()).toEqual([]);
    });

    const envelope = (...addresses: string[]): Envelope => ({
      reversePath: 'billing@postern.test',
      parameters: PLAIN,
      forwardPaths: addresses.map((address) => ({ address })),
    });
    const relay = ({ upstream, account }: UpstreamUnderTest, chunks = ['whole\r\n'], addresses = ['a@example.test', 'b@example.test']) =>
      upstream.relay(account, envelope(...addresses), () => content(...chunks), seconds(10));

    it('relays a whole message to all recipients, again and again', async () => {
      const lab = await start();
      lab.answer('content', '250 2.6.0 Taken');
      for (const text of ['one\r\n', 'two\r\n']) {
        const result = await relay(lab, [text]);
        expect(result).toMatchObject({ user: 'billing@postern.test', isDsnPassedOn: true });
        expect(result.failure).toBeUndefined();
        const taken = { stage: 'final-reply', reply: { code: 250, enhancedCode: '2.6.0', text: ['Taken'] } };
        expect(result.answers).toEqual([taken, taken]);
      }
      expect(lab.delivered()).toEqual(['one\r\n', 'two\r\n']);
    });

    it.each([
      ['mail', '550 5.7.60 Not as this sender', 550],
      ['mail', '421 4.3.2 Service not active', 421],
      ['rcpt', '550 5.1.1 Unknown', 550],
      ['rcpt', '452 4.5.3 Too many', 452],
      ['data', '451 4.3.0 Later', 451],
      ['content', '552 5.3.4 Too big', 552],
    ] as const)('answers each recipient with what was said to %s: %s', async (step, line, code) => {
      const lab = await start();
      lab.answer(step, line);
      const result = await relay(lab);
      const stage = step === 'content' ? 'final-reply' : step;
      expect(result.answers).toMatchObject([
        { stage, reply: { code } },
        { stage, reply: { code } },
      ]);
      expect(result.failure).toBeUndefined();
      expect(lab.delivered().filter((text) => text !== '' && step !== 'content')).toEqual([]);
    });

    it.each([
      ['mail', false],
      ['rcpt', false],
      ['data', false],
      ['content', true],
    ] as const)('says of a connection lost at %s whether the message may have been delivered: %s', async (step, isAmbiguous) => {
      const lab = await start();
      lab.answer(step, 'close');
      const result = await relay(lab);
      expect(result.answers).toEqual([undefined, undefined]);
      expect(result.failure).toBeInstanceOf(UpstreamError);
      expect(result.failure?.stage === 'final-reply').toBe(isAmbiguous);
      expect(result.failure?.problem.code === 'UPSTREAM_AMBIGUOUS').toBe(isAmbiguous);
      expect(lab.delivered()).toHaveLength(isAmbiguous ? 1 : 0);
    });

    it('throws what the content throws, delivers nothing of it, and goes on', async () => {
      const lab = await start();
      const failure = new Error('the spool is damaged');
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(Buffer.from('half\r\n'));
        throw failure;
      };
      const { upstream, account } = lab;
      await expect(upstream.relay(account, envelope('a@example.test'), failing, seconds(10))).rejects.toBe(failure);
      await relay(lab, ['good\r\n']);
      expect(lab.delivered()).toEqual(['good\r\n']);
    });

    it('opens no content that nobody waits for', async () => {
      const lab = await start();
      lab.answer('rcpt', '550 5.1.1 Unknown');
      const { upstream, account } = lab;
      const open = (): never => {
        throw new Error('content was opened');
      };
      const result = await upstream.relay(account, envelope('a@example.test'), open, seconds(10));
      expect(result.answers).toMatchObject([{ stage: 'rcpt', reply: { code: 550 } }]);
    });

    it('delivers nothing that was abandoned, takes abandon after the end, and goes on', async () => {
      const lab = await start();
      const early = await open(lab);
      early.abandon();
      const late = await open(lab);
      await late.addForwardPath({ address: 'a@example.test' });
      await late.startContent();
      late.abandon();
      late.abandon();
      const good = await open(lab);
      await good.addForwardPath({ address: 'a@example.test' });
      await good.startContent();
      await good.submitContent(content('good\r\n'));
      good.abandon();
      expect(lab.delivered()).toEqual(['good\r\n']);
    });
  });
}
