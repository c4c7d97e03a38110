/**
 * `postern health`: asks each SMTP listener of the configuration for its greeting, and the relay itself, over its control socket, whether it is ready
 * (what `/readyz` says). For container health checks; needs no curl and no shell. Without the socket the greetings alone count.
 *
 * It says nothing about the upstream on purpose: an outage at the provider must not make a supervisor restart a relay that holds mail.
 *
 * @packageDocumentation
 */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { askReadiness } from '../app/running-relay.ts';
import { milliseconds } from '../core/clock.ts';
import type { SmtpListenerSettings } from '../core/listener.ts';
import { systemClock } from '../platform/system-clock.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand, printJson } from './load.ts';

const PATIENCE_MS = 4_000;
const RETRY = milliseconds(250);
const LONGEST_WAIT_S = 600;

/** `fault`: why it is not well. */
interface Answer {
  readonly listener: string;
  readonly fault?: string;
}

export const health: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const wait = secondsOf(invocation.options['wait']);
    if (wait === undefined) {
      process.stderr.write(`postern: --wait must be 0 to ${LONGEST_WAIT_S} seconds\n`);
      return EXIT.usage;
    }
    const [listeners, readiness] = await Promise.all([
      probeUntil(loaded.config.listeners.smtp, performance.now() + wait * 1000),
      askReadiness(loaded.config, milliseconds(PATIENCE_MS)),
    ]);
    const isHealthy = listeners.every(({ fault }) => fault === undefined) && readiness?.isReady !== false;
    const reasons = readiness?.reasons ?? [];
    if (invocation.isJson) printJson({ ok: isHealthy, listeners, reasons });
    else {
      for (const { listener, fault } of listeners) process.stdout.write(`${listener}: ${fault ?? 'ok'}\n`);
      for (const reason of reasons) process.stdout.write(`not ready: ${reason}\n`);
    }
    return isHealthy ? EXIT.ok : EXIT.problem;
  },
};

/** Undefined for what is no number of seconds. */
function secondsOf(option: string | boolean | undefined): number | undefined {
  if (option === undefined) return 0;
  return typeof option === 'string' && /^\d{1,3}$/.test(option) && Number(option) <= LONGEST_WAIT_S ? Number(option) : undefined;
}

/** Tries again while one does not answer and there is time. */
async function probeUntil(listeners: readonly SmtpListenerSettings[], deadline: number): Promise<Answer[]> {
  for (;;) {
    const answers = await Promise.all(listeners.map(probe));
    if (answers.every(({ fault }) => fault === undefined) || performance.now() >= deadline) return answers;
    await new Promise<void>((resolve) => void systemClock.startTimer(RETRY, resolve));
  }
}

async function probe(settings: SmtpListenerSettings): Promise<Answer> {
  try {
    await greeting(settings);
    return { listener: settings.name };
  } catch (error) {
    return { listener: settings.name, fault: error instanceof Error ? error.message : String(error) };
  }
}

/** Resolves when a 220 has been read. */
function greeting({ host, port, tls }: SmtpListenerSettings): Promise<void> {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new Promise((resolve, reject) => {
    // Only whether it answers is asked; no secret is sent, so the certificate, made for another name, need not be verified.
    const socket =
      tls === 'implicit' ? connectTls({ host: reachable, port, rejectUnauthorized: false }) : connectTcp({ host: reachable, port });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(PATIENCE_MS, () => fail(new Error(`no greeting within ${PATIENCE_MS / 1000} s`)));
    socket.once('error', fail);
    socket.once('end', () => fail(new Error('closed without a greeting')));
    socket.once('data', (chunk) => {
      if (!chunk.toString('latin1').startsWith('220')) return fail(new Error('busy or not an SMTP listener'));
      socket.end('QUIT\r\n');
      resolve();
    });
  });
}
