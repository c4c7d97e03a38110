/**
 * Submits messages with tools that people use: swaks, curl and Python's smtplib. None of our code is in them.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { RunningProcess } from '../process.ts';
import type { SampleMessage } from './messages.ts';

export type Tool = 'swaks' | 'curl' | 'smtplib';
export type ClientTls = 'off' | 'starttls' | 'implicit';

export interface SubmissionOrder {
  readonly port: number;
  readonly tls: ClientTls;
  /** Absent: the application is known by its address. */
  readonly login?: { readonly username: string; readonly password: string };
  /** Address of the application. */
  readonly source: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly message: SampleMessage;
}

export interface SubmissionOutcome {
  /** Of the reply that decided; 0 where the connection broke. */
  readonly code: number;
  /** Its text with the enhanced code; for curl and swaks the whole dialogue. */
  readonly text: string;
  /** smtplib only: refused recipients and what was said to each. */
  readonly refused: Readonly<Record<string, string>>;
}

export interface SubmitOptions {
  /** For the files that the tools read. */
  readonly folder: string;
  readonly caFile: string;
  /** How many connections at a time. */
  readonly together: number;
}

const PYTHON_SCRIPT = fileURLToPath(new URL('smtplib_submit.py', import.meta.url));

/** A connection for each message; the outcomes come in the order of `orders`. */
export async function submit(tool: Tool, orders: readonly SubmissionOrder[], options: SubmitOptions): Promise<SubmissionOutcome[]> {
  const files = orders.map(({ message }) => {
    const file = join(options.folder, `${randomUUID()}.eml`);
    writeFileSync(file, tool === 'swaks' ? stuffed(message.content) : message.content);
    return file;
  });
  try {
    if (tool === 'smtplib') return await submitWithPython(orders, files, options);
    const run = tool === 'swaks' ? submitWithSwaks : submitWithCurl;
    return await inParallel(orders, options.together, (order, index) => run(order, files[index] ?? '', options));
  } finally {
    for (const file of files) rmSync(file, { force: true });
  }
}

async function submitWithPython(
  orders: readonly SubmissionOrder[],
  files: readonly string[],
  { caFile, together }: SubmitOptions,
): Promise<SubmissionOutcome[]> {
  const jobs = orders.map(({ message, login, ...order }, index) => {
    return { ...order, login: login ?? null, file: files[index], isEightBit: message.isEightBit, caFile };
  });
  const python = new RunningProcess('/usr/bin/python3', [PYTHON_SCRIPT], { input: JSON.stringify({ jobs, together }) });
  const { code, stdout, stderr } = await python.end();
  if (code !== 0) throw new Error(`smtplib_submit.py: ${stderr}`);
  return JSON.parse(stdout) as SubmissionOutcome[];
}

async function submitWithSwaks(order: SubmissionOrder, file: string, { caFile }: SubmitOptions): Promise<SubmissionOutcome> {
  const args = ['--server', 'localhost', '--port', String(order.port), '--local-interface', order.source, '--helo', 'app.postern.test'];
  args.push(
    '--from',
    order.from,
    '--to',
    order.to.join(','),
    '--data',
    `@${file}`,
    '--no-data-fixup',
    '--suppress-data',
    '--timeout',
    '120s',
  );
  if (order.tls !== 'off') args.push(order.tls === 'starttls' ? '--tls' : '--tls-on-connect', '--tls-verify', '--tls-ca-path', caFile);
  if (order.login !== undefined) args.push('--auth', 'LOGIN', '--auth-user', order.login.username, '--auth-password', order.login.password);
  const { code, stdout, stderr } = await runTool('/usr/bin/swaks', args);
  // `<** ` and `<~* ` are replies that swaks did not want.
  const refusal = /^<[*~]\* (\d{3})[ -]/m.exec(stdout)?.[1];
  return { code: code === 0 ? 250 : Number(refusal ?? 0), text: stdout + stderr, refused: {} };
}

async function submitWithCurl(order: SubmissionOrder, file: string, { caFile }: SubmitOptions): Promise<SubmissionOutcome> {
  const scheme = order.tls === 'implicit' ? 'smtps' : 'smtp';
  const args = ['--verbose', '--silent', '--max-time', '120', '--interface', order.source, '--upload-file', file];
  args.push('--url', `${scheme}://localhost:${order.port}/app.postern.test`, '--mail-from', order.from);
  for (const address of order.to) args.push('--mail-rcpt', address);
  if (order.tls !== 'off') args.push('--ssl-reqd', '--cacert', caFile);
  if (order.login !== undefined) args.push('--user', `${order.login.username}:${order.login.password}`);
  const { code, stderr } = await runTool('/usr/bin/curl', args);
  const refusal = stderr.match(/^< [45]\d\d[ -]/gm)?.at(-1);
  return { code: code === 0 ? 250 : Number(refusal?.slice(2, 5) ?? 0), text: stderr, refused: {} };
}

/** A tool that reads nothing from its standard input. */
export async function runTool(command: string, args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** swaks sends the file as it is, so dots are stuffed and the last line is the final dot (RFC 5321 §4.5.2). */
function stuffed(content: Buffer): Buffer {
  const text = content.toString('latin1');
  const ended = text.endsWith('\r\n') ? text : `${text}\r\n`;
  return Buffer.from(`${ended.replace(/^\./gm, '..')}.`, 'latin1');
}

async function inParallel<T, R>(items: readonly T[], together: number, action: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await action(item, index);
  };
  await Promise.all(Array.from({ length: together }, worker));
  return results;
}
