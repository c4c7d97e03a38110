/**
 * A whole relay, as a process, on a disk that fails it, and an application that notes what it was told: for tests of what becomes of messages whose disk failed.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext } from 'vitest';
import { mailboxOf, PASSWORD, RelayLab, type RelayStart } from '../campaign/relay-lab.ts';
import { SmtpTalk } from './smtp-talk.ts';

/** Beyond what a record takes: content that gets a file of its own. */
export const LARGE = 400_000;

export class RelayOnDisk {
  readonly lab: RelayLab;
  /** Subjects of messages that were answered with 250, and of all others. */
  readonly accepted: string[] = [];
  readonly refused: string[] = [];
  #app: SmtpTalk | undefined;

  private constructor(lab: RelayLab) {
    this.lab = lab;
  }

  static async open(): Promise<RelayOnDisk> {
    return new RelayOnDisk(await RelayLab.open({ accounts: 1, mode: 'queue' }));
  }

  close(): Promise<void> {
    this.#app?.destroy();
    return this.lab.close();
  }

  /** A relay that works: it has taken and delivered a message. Its port. */
  async startSound(settings: RelayStart = {}): Promise<number> {
    const { port } = await this.lab.start(settings);
    await this.connect(port);
    await this.submit('before', 100);
    await this.arrived('before');
    return port;
  }

  /** The connection on which {@link submit} submits. */
  async connect(port: number): Promise<void> {
    this.#app = await signIn(port);
  }

  /** Submit a message on the connection that is open, and note what was said of it. */
  async submit(subject: string, octets: number): Promise<string> {
    const app = this.#app;
    if (app === undefined) throw new Error('no application is connected');
    const ask = async (): Promise<string> => {
      for (const command of [`MAIL FROM:<${mailboxOf('a0')}>`, 'RCPT TO:<anna@example.test>']) {
        const answer = await app.ask(command);
        if (!answer.startsWith('250')) return answer;
      }
      const answer = await app.ask('DATA');
      if (!answer.startsWith('354')) return answer;
      app.send(`Subject: ${subject}\r\n\r\n${'An ordinary line of text.\r\n'.repeat(Math.ceil(octets / 27))}`);
      return app.ask('.');
    };
    const answer = await ask();
    (answer.startsWith('250') ? this.accepted : this.refused).push(subject);
    if (!answer.startsWith('250')) await app.ask('RSET');
    return answer;
  }

  async arrived(subject: string): Promise<void> {
    while (!this.lab.sandbox.messages.list().some((message) => message.subject === subject))
      await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** A message goes through, on the connection that saw the failure and on a new one. */
  async expectMended(name: string, port: number): Promise<void> {
    for (const octets of [100, LARGE]) {
      const subject = `${name}, mended, ${octets}`;
      expect(await this.submit(subject, octets)).toMatch(/^250 /);
      await this.arrived(subject);
    }
    const other = await signIn(port);
    expect(await other.ask('NOOP')).toMatch(/^250 /);
    other.destroy();
  }

  /** The relay ends and starts again on a sound disk: nothing comes back. */
  async expectNothingRevived(settings: RelayStart = {}): Promise<void> {
    this.#app?.destroy();
    await this.lab.stop();
    const { port } = await this.lab.start(settings);
    await this.connect(port);
    await this.submit('after the restart', 100);
    await this.arrived('after the restart');
    const received = this.lab.sandbox.messages.list().map(({ subject }) => subject);
    expect(received.sort()).toEqual([...this.accepted].sort());
    expect(this.refused.length).toBeGreaterThan(0);
    this.#app?.destroy();
    await this.lab.stop();
  }

  /** From now on this happens to calls of the relay, until the returned function is called; it returns what strace has seen. */
  async injectInto(calls: string, fault = 'error=EIO'): Promise<() => Promise<string>> {
    const args = ['-f', '-p', String(this.lab.pid), '-e', `trace=${calls}`, '-e', `inject=${calls}:${fault}`];
    const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let seen = '';
    await new Promise<void>((resolve, reject) => {
      tracer.once('error', reject).once('exit', () => reject(new Error(`strace ended: ${seen}`)));
      tracer.stderr.setEncoding('utf8').on('data', (text: string) => {
        seen += text;
        if (seen.includes('attached')) resolve();
      });
    });
    return async () => {
      const ended = new Promise((resolve) => tracer.once('close', resolve));
      tracer.kill('SIGINT'); // Detaches.
      await ended;
      return seen;
    };
  }
}

export async function signIn(port: number): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(port);
  await talk.reply();
  await talk.ask('EHLO app.test');
  const answer = await talk.ask(`AUTH PLAIN ${Buffer.from(`\0a0\0${PASSWORD}`).toString('base64')}`);
  if (!answer.startsWith('235')) throw new Error(answer);
  return talk;
}

/** Skips the test, with the reason in its name, where it cannot be run on this machine. */
export function need(context: TestContext, what: 'root' | 'strace' | 'prlimit'): void {
  if (what === 'root') {
    if (process.getuid?.() !== 0) context.skip('not run: mounting and changing users need root');
    return;
  }
  if (['/usr/bin', '/usr/local/bin', '/bin'].every((folder) => !existsSync(join(folder, what)))) {
    context.skip(`not run: there is no ${what} on this machine (Debian package ${what === 'strace' ? 'strace' : 'util-linux'})`);
  }
}
