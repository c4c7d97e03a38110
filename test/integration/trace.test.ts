/** `postern trace` on a relay that runs: both dialogues of a message in one place, and no secret in any of them. */
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { TraceLine, TraceView } from '../../src/core/ports/traces.ts';
import { type Finished, postern } from '../support/process.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const PASSWORD = 'local-pässword 1';
const LOGIN = { user: 'erp', pass: PASSWORD };
/** A slip of the pen: nobody knows that it is a secret. */
const MISTYPED = 'local-pässword 11 canary';

let relay: RelayOnSandbox | undefined;
afterEach(async () => {
  await relay?.close();
  relay = undefined;
});

async function start(changes: Parameters<typeof startRelayOnSandbox>[0] = {}): Promise<RelayOnSandbox> {
  relay = await startRelayOnSandbox(changes);
  return relay;
}

const trace = ({ stateDir }: RelayOnSandbox, ...args: string[]): Promise<Finished> =>
  postern(['trace', '--config', join(dirname(stateDir), 'postern.yaml'), ...args]).end();

async function begin(running: RelayOnSandbox, ...subject: string[]): Promise<string> {
  const { stdout, code, stderr } = await trace(running, 'start', ...subject, '--json');
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as TraceView).id;
}

async function linesOf(running: RelayOnSandbox, id: string): Promise<TraceLine[]> {
  const { stdout } = await trace(running, 'show', id, '--json');
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TraceLine);
}

const encodings = (secret: string): string[] => {
  const octets = Buffer.from(secret);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    octets.toString('hex'),
    // Base64 at each of its three offsets, what depends on the secret alone.
    ...[0, 1, 2].map((offset) =>
      Buffer.concat([Buffer.alloc(offset), octets])
        .toString('base64')
        .slice(4, 16),
    ),
  ];
};

describe('a trace of a client', () => {
  it('has both dialogues of its message, in order, with AUTH and content left out', async () => {
    const running = await start();
    const id = await begin(running, 'client', 'erp');
    await submit({ port: running.port, login: LOGIN, content: 'Subject: canary-subject\r\n\r\ncanary-body\r\n' });
    await submit({ port: running.port, localAddress: '127.0.0.2' });
    const lines = await linesOf(running, id);
    const dialogue = (event: string): string[] => lines.filter(({ fields }) => fields['event'] === event).map(({ message }) => message);
    const client = dialogue('client-dialogue');
    expect(client[0]).toMatch(/^S: 220 /);
    const commands = client.filter((line) => line.startsWith('C: ')).map((line) => line.slice(3));
    expect(commands.filter((line) => line !== '[removed]').map((line) => line.replace(/ .*/, ''))).toEqual([
      'EHLO',
      'AUTH',
      'MAIL',
      'RCPT',
      'DATA',
      '[content]',
      ...(commands.includes('QUIT') ? ['QUIT'] : []),
    ]);
    expect(client.filter((line) => line.startsWith('S: 250 2.0.0 ')).length).toBeGreaterThan(0);
    const upstream = dialogue('upstream-dialogue');
    expect(upstream).toEqual(
      expect.arrayContaining([expect.stringMatching(/^S: 220 /), 'C: STARTTLS', expect.stringMatching(/^C: MAIL FROM:/)]),
    );
    expect(upstream.some((line) => /^C: \[content, \d+ octets\] \.$/.test(line))).toBe(true);
    expect(lines.some(({ fields }) => fields['event'] === 'message-relayed')).toBe(true);
    expect(lines.every(({ fields }) => fields['client'] === undefined || fields['client'] === 'erp')).toBe(true);
    const text = JSON.stringify(lines);
    expect(text).not.toMatch(/canary-(subject|body)/);
  });

  it('holds no secret, right or mistyped, in any encoding', async () => {
    const running = await start();
    const ids = [await begin(running, 'client', 'erp'), await begin(running, 'account', 'billing')];
    await submit({ port: running.port, login: LOGIN });
    await submit({ port: running.port, login: { user: 'erp', pass: MISTYPED } }).catch(() => undefined);
    const readings = await Promise.all(ids.map(async (id) => linesOf(running, id)));
    expect(readings.map((lines) => lines.length > 10)).toEqual([true, true]);
    expect(readings[0]?.some(({ fields }) => fields['event'] === 'login-refused')).toBe(true);
    const text = JSON.stringify(readings) + JSON.stringify(running.log.of('client-dialogue'));
    for (const secret of [...running.secrets, MISTYPED]) for (const form of encodings(secret)) expect(text).not.toContain(form);
    expect(text).not.toMatch(/auth=Bearer|eyJ[A-Za-z0-9_-]{20}/);
  });
});

describe('a trace of a message', () => {
  it('hears the attempts upstream, of that message alone', async () => {
    const running = await start({ mode: 'queue' });
    running.sandbox.faults.submission.next.push({ stage: 'mail', kind: 'reply', reply: '451 4.3.2 Not now', times: 2 });
    await submit({ port: running.port, login: LOGIN });
    await submit({ port: running.port, login: LOGIN });
    const queued = running.log.of('message-queued').map(({ queueId = '' }) => queueId);
    expect(queued).toHaveLength(2);
    const [first = ''] = queued;
    const id = await begin(running, 'message', first.toLowerCase());
    const retry = postern(['queue', '--config', join(dirname(running.stateDir), 'postern.yaml'), 'retry', ...queued]);
    expect(await retry.end()).toMatchObject({ code: 0 });
    await expect.poll(() => running.log.of('message-relayed').length, { timeout: 15_000 }).toBe(2);
    const lines = await linesOf(running, id);
    const upstream = lines.filter(({ fields }) => fields['event'] === 'upstream-dialogue').map(({ message }) => message);
    expect(upstream).toEqual(expect.arrayContaining([expect.stringMatching(/^C: MAIL FROM:/), expect.stringMatching(/^S: 250 /)]));
    expect(new Set(lines.map(({ fields }) => fields['queueId']))).toEqual(new Set([first]));
    expect(lines.filter(({ fields }) => fields['event'] === 'message-relayed')).toHaveLength(1);
  }, 30_000);
});

describe('the command', () => {
  it('begins, lists, shows and stops, in words', async () => {
    const running = await start();
    const started = await trace(running, 'start', 'client', 'erp', '--for', '2m');
    const id = /^([0-9a-f]{12}) /m.exec(started.stdout)?.[1] ?? '';
    expect(started.stdout).toContain(`postern trace show ${id} --follow`);
    await submit({ port: running.port, login: LOGIN });
    expect((await trace(running, 'list')).stdout).toMatch(new RegExp(`^${id}  client erp `, 'm'));
    const shown = (await trace(running, 'show', id)).stdout;
    expect(shown).toMatch(/^\d\d:\d\d:\d\d\.\d{3} client \S+ .*C: MAIL FROM:<billing@sandbox\.test>/m);
    expect(shown).toMatch(/ upstream 127\.0\.0\.1:\d+ [0-9A-Z]{16} {2}C: MAIL FROM:/);
    expect(shown).toMatch(/ info message-relayed {2}message relayed {2}.*reply=250 /);
    expect(await trace(running, 'stop', id)).toMatchObject({ code: 0 });
    expect(await trace(running, 'show', id)).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no such trace') });
  });

  it.each([
    [['start'], 'of what'],
    [['start', 'client'], 'of what'],
    [['start', 'printer', 'x'], 'of what'],
    [['start', 'client', 'erp', '--for', '2d'], 'up to 24h'],
    [['show'], 'takes one ID'],
    [['stop', 'a', 'b'], 'takes one ID'],
    [['list', '--follow'], 'has no option'],
    [['watch'], 'there is start, list, show and stop'],
  ])('%j is a mistake: %s', async (args, text) => {
    expect(await postern(['trace', ...args]).end()).toMatchObject({ code: 2, stderr: expect.stringContaining(text) });
  });

  it('says that no relay runs', async () => {
    const running = await start();
    const file = join(dirname(running.stateDir), 'postern.yaml');
    const answer = await postern(['trace', 'list', '--config', file], {
      env: { POSTERN_STATE_DIR: join(dirname(running.stateDir), 'none') },
    }).end();
    expect(answer).toMatchObject({ code: 1, stderr: expect.stringContaining('CONTROL_UNREACHABLE') });
  });
});
