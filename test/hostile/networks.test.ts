/** One peer gets one verdict, by whichever address its packets come: real sockets, IPv4, IPv6 and IPv4 mapped into IPv6. */
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ListenerEngine } from '../../src/listener/listener-engine.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { ClientDirectory } from '../../src/policy/client-directory.ts';
import { testClient } from '../support/accounts.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { ScriptedSubmission } from '../support/scripted-submission.ts';
import { openSmtpStage, stageSettings } from '../support/smtp-stage.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { UnconfirmedAnswers } from '../../src/listener/unconfirmed-answers.ts';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** What MAIL is answered with: a code, which tells a client from a stranger. */
async function verdict(talk: SmtpTalk): Promise<string> {
  closers.push(() => talk.destroy());
  await talk.reply();
  await talk.ask('EHLO app.test');
  return (await talk.ask('MAIL FROM:<billing@postern.test>')).slice(0, 3);
}

const clientsIn = (network: string) => [testClient({ networks: [network] })];

describe('N11 a network client', () => {
  it.each([
    ['127.0.0.1/32', '127.0.0.1', '250'],
    ['127.0.0.1/32', '::ffff:127.0.0.1', '250'],
    ['127.0.0.1/32', '::1', '530'],
    ['127.0.0.1/32', '127.0.0.2', '530'],
    ['::1/128', '::1', '250'],
    ['::1/128', '127.0.0.1', '530'],
    ['::ffff:127.0.0.1/128', '127.0.0.1', '250'],
    ['fe80::/10', 'fe80::1%eth0', '250'],
    ['fe80::/10', 'fe80::1%25eth0', '250'],
    ['10.0.0.0/8', '::ffff:10.1.2.3', '250'],
    ['10.0.0.0/8', '::10.1.2.3', '530'],
  ])('of %s at %s: %s', async (network, peer, expected) => {
    const stage = await openSmtpStage({ clients: clientsIn(network), peer });
    closers.push(() => stage.close());
    expect(await verdict(SmtpTalk.plain(stage.port))).toBe(expected);
  });

  it('of 127.0.0.1 is the same one at a listener for both kinds of addresses', async (context) => {
    const log = new MemoryLog();
    const base = { clock: systemClock, random: systemRandom, log };
    const engine = new ListenerEngine({
      ...base,
      settings: stageSettings({ host: '::' }),
      submission: new ScriptedSubmission(),
      clients: new ClientDirectory(clientsIn('127.0.0.1/32')),
      passwords: new PasswordCheck(base),
      hostname: 'relay.test',
      unconfirmed: new UnconfirmedAnswers(systemClock),
    });
    const failure = await new Promise<Error | undefined>((resolve) => {
      engine.server.once('error', resolve);
      engine.server.listen({ host: '::', port: 0 }, () => resolve(undefined));
    });
    if (failure !== undefined) context.skip(`not run: this machine has no IPv6 (${failure.message})`);
    closers.push(() => new Promise<void>((resolve) => void engine.server.close(() => resolve())));
    closers.push(() => {
      for (const session of engine.sessions) session.socket.destroy();
    });
    const { port } = engine.server.address() as { port: number };
    expect(await verdict(new SmtpTalk(connect({ host: '127.0.0.1', port })))).toBe('250');
    expect(await verdict(new SmtpTalk(connect({ host: '::1', port })))).toBe('530');
  });
});
