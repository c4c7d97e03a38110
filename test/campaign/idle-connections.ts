/**
 * Connections that are opened and say nothing, many more than a relay takes: those beyond its cap are turned away with a word, and applications that are inside are
 * served as if nobody else was there.
 *
 * They come from many addresses, so no cap on a single one helps.
 *
 * @packageDocumentation
 */
import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SmtpTalk } from '../support/smtp-talk.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { mailboxOf, PASSWORD, RelayLab } from './relay-lab.ts';

const run = promisify(execFile);
const MEBIBYTE = 1024 * 1024;
/** Opened at the same time. */
const BATCH = 200;
/** A stranger who says nothing is cut after this, in ms, and a little for a busy machine. */
const STRANGER_LIMIT = 60_000 + 30_000;
/** What a connection that says nothing may cost. */
const KIB_EACH = 35;

/** Enough descriptors for both ends, or why not. */
export async function idleConnectionsObstacle(count = 10_000): Promise<string | undefined> {
  const files = count + 1_000;
  return run('prlimit', ['--pid', String(process.pid), `--nofile=${files}:`]).then(
    () => undefined,
    (error: Error) => `a limit of ${files} open files cannot be set (${error.message.trim().split('\n').at(-1)})`,
  );
}

/** One that says nothing. */
class Idler {
  heard = '';
  isOver = false;
  readonly #socket: Socket;

  constructor(port: number, index: number) {
    const localAddress = `127.${1 + (index % 200)}.${1 + (Math.floor(index / 200) % 200)}.1`;
    this.#socket = connect({ host: '127.0.0.1', port, localAddress });
    this.#socket.on('data', (octets: Buffer) => void (this.heard += octets.toString('latin1')));
    const over = (): void => {
      this.isOver = true;
    };
    this.#socket.on('end', over).on('close', over).on('error', over);
  }

  /** Greeted, turned away, or hung up on. */
  async settled(): Promise<void> {
    while (this.heard === '' && !this.isOver) await pause(10);
  }

  get isInside(): boolean {
    return this.heard.startsWith('220') && !this.isOver;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

export interface IdleConnectionsOptions extends CampaignOptions {
  /** Wait until those inside are cut; else the run ends before. */
  readonly isWaiting?: boolean;
}

/** `count` connections. */
export async function runIdleConnections({
  count,
  isWaiting = true,
  print = () => undefined,
}: IdleConnectionsOptions): Promise<CampaignOutcome> {
  const obstacle = await idleConnectionsObstacle(count);
  if (obstacle !== undefined) throw new Error(obstacle);
  const lab = await RelayLab.open({ accounts: 1, mode: 'direct' });
  const idlers: Idler[] = [];
  try {
    const { port } = await lab.start();
    const inside = await signIn(port);
    await submit(inside);
    const before = lab.memory();
    const quiet = await timed(() => submit(inside));
    for (let from = 0; from < count; from += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, index) => new Idler(port, from + index));
      idlers.push(...batch);
      await Promise.all(batch.map((idler) => idler.settled()));
      if (from % 2_000 === 0) print(`${idlers.length} opened, ${idlers.filter((idler) => idler.isInside).length} inside`);
    }
    const among = idlers.filter((idler) => idler.isInside).length;
    const away = idlers.filter(({ heard }) => heard.startsWith('421 ')).length;
    const times: number[] = [];
    for (let index = 0; index < 20; index += 1) times.push(await timed(() => submit(inside)));
    const slowest = Math.max(...times);
    const grown = lab.memory() - before;
    print(`${among} inside, ${away} turned away, the slowest of 20 messages took ${Math.round(slowest)} ms, ${megabytes(grown)} MB more`);

    let left = among;
    if (isWaiting) {
      for (const end = performance.now() + STRANGER_LIMIT; left > 0 && performance.now() < end; await pause(500)) {
        left = idlers.filter((idler) => idler.isInside).length;
      }
    } else {
      for (const idler of idlers) idler.destroy();
      await pause(1_000);
    }
    const afterwards = await signIn(port);
    await submit(afterwards);
    const counts = {
      connections: count,
      inside: among,
      'turned away': away,
      'without a word': count - among - away,
      'ms for a message before': Math.round(quiet),
      'ms for the slowest of 20': Math.round(slowest),
      'MB more': megabytes(grown),
      'left after their limit': isWaiting ? left : 0,
      delivered: lab.sandbox.messages.list().length,
    };
    const broken: string[] = [];
    if (away === 0) broken.push('nobody was turned away, so nothing is shown');
    if (away + among !== count) broken.push(`${count - among - away} were neither taken nor told why not`);
    if (slowest > 1_000 + quiet) broken.push(`a message took ${Math.round(slowest)} ms`);
    if (grown > among * KIB_EACH * 1_024 + 32 * MEBIBYTE) broken.push(`${megabytes(grown)} MB for ${among} connections`);
    if (isWaiting && left > 0) broken.push(`${left} connections outlived their limit`);
    if (counts.delivered !== 23) broken.push(`${counts.delivered} of 23 messages arrived`);
    return { counts, broken };
  } finally {
    for (const idler of idlers) idler.destroy();
    await lab.close();
  }
}

async function signIn(port: number): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(port);
  const login = Buffer.from(`\0a0\0${PASSWORD}`).toString('base64');
  for (const expected of [await talk.reply(), await talk.ask('EHLO app.test'), await talk.ask(`AUTH PLAIN ${login}`)]) {
    if (!expected.startsWith('2')) throw new Error(expected);
  }
  return talk;
}

async function submit(talk: SmtpTalk): Promise<void> {
  for (const command of [`MAIL FROM:<${mailboxOf('a0')}>`, 'RCPT TO:<a@example.test>', 'DATA', 'Subject: x\r\n\r\nx\r\n.']) {
    const answer = await talk.ask(command);
    if (!/^[23]/.test(answer)) throw new Error(answer);
  }
}

async function timed(action: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await action();
  return performance.now() - began;
}

const megabytes = (octets: number): number => Math.round(octets / MEBIBYTE);
