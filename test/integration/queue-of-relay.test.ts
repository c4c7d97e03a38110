/** `postern queue` on a relay that runs and cannot reach its provider, and what becomes of the mail once it can. */
import { existsSync, lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Finished, postern } from '../support/process.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const running: RelayOnSandbox[] = [];
afterEach(async () => {
  for (const started of running.splice(0)) await started.close();
});

/** A relay in queue mode whose provider answers every MAIL with 451. */
async function relayWithMail(count: number): Promise<RelayOnSandbox> {
  const relay = await startRelayOnSandbox({ mode: 'queue' });
  running.push(relay);
  relay.sandbox.faults.submission.next.push({ stage: 'mail', kind: 'reply', reply: '451 4.3.2 Not now', times: 1_000 });
  for (let index = 0; index < count; index += 1) {
    const content = `Subject: number ${index}\r\n\r\n.dot\r\n`;
    const answer = await submit({ port: relay.port, localAddress: '127.0.0.2', content });
    if (answer.code !== 250) throw new Error(answer.response);
  }
  return relay;
}

const queue = ({ stateDir }: RelayOnSandbox, ...args: string[]): Promise<Finished> =>
  postern(['queue', '--config', join(dirname(stateDir), 'postern.yaml'), ...args]).end();

interface Listed {
  readonly matching: number;
  readonly items: readonly { readonly queueId: string; readonly attempts: number; readonly hold?: { readonly code: string } }[];
}

async function list(relay: RelayOnSandbox, ...filter: string[]): Promise<Listed> {
  const { stdout } = await queue(relay, 'list', '--json', ...filter);
  return JSON.parse(stdout) as Listed;
}

describe('mail that waits in a relay that runs', () => {
  it('can be looked at, held, dropped and delivered', async () => {
    const relay = await relayWithMail(3);
    expect(lstatSync(join(relay.stateDir, 'control.sock')).mode & 0o777).toBe(0o600);
    const { items } = await list(relay);
    const [first = '', second = '', third = ''] = items.map(({ queueId }) => queueId);
    expect(items).toHaveLength(3);

    expect((await queue(relay, 'export', first)).stdout).toMatch(/\r\nSubject: number 0\r\n\r\n\.dot\r\n$/);
    expect((await queue(relay, 'show', first)).stdout).toMatch(/^ {2}Subject: number 0$/m);
    expect((await queue(relay, 'hold', first, second)).stdout).toBe('2 messages: held\n');
    expect((await list(relay, '--held', '--code', 'HELD_BY_OPERATOR')).items.map(({ queueId }) => queueId)).toEqual([first, second]);
    expect((await queue(relay, 'drop', second, '--yes')).code).toBe(0);

    relay.sandbox.faults.submission.next.splice(0);
    expect((await queue(relay, 'retry', third)).stdout).toBe(`${third}: due now\n`);
    await until(() => relay.sandbox.messages.list().length === 1);
    expect((await queue(relay, 'retry', '--account', 'billing')).stdout).toBe(`${first}: due now\n`);
    await until(() => relay.sandbox.messages.list().length === 2);
    await untilAsync(async () => (await list(relay)).matching === 0);
    expect(
      relay.sandbox.messages
        .list()
        .map(({ subject }) => subject)
        .sort(),
    ).toEqual(['number 0', 'number 2']);
    expect(relay.log.of('queue-drop')).toMatchObject([{ queueId: second, account: 'billing', client: 'printers' }]);
  });

  it('is there for the command after the relay has ended, and for the next relay what the command made of it', async () => {
    const relay = await relayWithMail(2);
    await queue(relay, 'hold', '--account', 'billing');
    await relay.restart();
    expect((await list(relay, '--held')).matching).toBe(2);
    relay.sandbox.faults.submission.next.splice(0);
    await queue(relay, 'release', '--code', 'HELD_BY_OPERATOR');
    await queue(relay, 'retry', '--account', 'billing');
    await until(() => relay.sandbox.messages.list().length === 2);
    expect(existsSync(join(relay.stateDir, 'control.sock'))).toBe(true);
  });
});

const until = (condition: () => boolean): Promise<void> => untilAsync(() => Promise.resolve(condition()));

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
