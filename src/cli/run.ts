/**
 * Finds the command named by the arguments and runs it.
 *
 * Exit codes: 0 ok, 1 found a problem, 2 usage, 78 bad configuration (EX_CONFIG of sysexits.h).
 *
 * @packageDocumentation
 */
import { type CommandShape, parseArguments } from './arguments.ts';
import { type Command, EXIT } from './command.ts';
import { FETCH_OPTIONS } from './fetch-arguments.ts';
import { QUEUE_OPTIONS } from './queue-arguments.ts';
import { TRACE_OPTIONS } from './trace-arguments.ts';

interface CommandEntry extends CommandShape {
  readonly summary: string;
  /** Loaded only when asked for, so that `postern health` stays light. */
  readonly load: () => Promise<Command>;
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  serve: {
    usage: 'serve',
    summary: 'run the relay (and, with no account configured, the sandbox)',
    maxPositionals: 0,
    load: async () => (await import('./serve.ts')).serve,
  },
  check: {
    usage: 'check',
    summary: 'read the configuration and list every problem',
    maxPositionals: 0,
    load: async () => (await import('./check.ts')).check,
  },
  sandbox: {
    usage: 'sandbox',
    summary: 'run the local Microsoft 365 alone',
    maxPositionals: 0,
    load: async () => (await import('./sandbox.ts')).sandbox,
  },
  login: {
    usage: 'login ACCOUNT',
    summary:
      'sign in as the mailbox and store its refresh token [--device | --paste] [--no-browser] [--redirect-uri URI]; [--link]: make a link by which its owner does',
    minPositionals: 1,
    maxPositionals: 1,
    options: {
      device: { type: 'boolean' },
      paste: { type: 'boolean' },
      link: { type: 'boolean' },
      'no-browser': { type: 'boolean' },
      'redirect-uri': { type: 'string' },
    },
    load: async () => (await import('./login.ts')).login,
  },
  accounts: {
    usage: 'accounts',
    summary: 'list the accounts and what is stored for them',
    maxPositionals: 0,
    load: async () => (await import('./accounts.ts')).accounts,
  },
  token: {
    usage: 'token show|refresh|set ACCOUNT',
    summary: 'show facts about stored tokens, refresh them now, or store a refresh token from standard input',
    minPositionals: 2,
    maxPositionals: 2,
    load: async () => (await import('./token.ts')).token,
  },
  doctor: {
    usage: 'doctor [ACCOUNT]',
    summary: 'examine an account, or all: secrets, clock, token, SMTP, IMAP, POP3; each failure with its remedy',
    maxPositionals: 1,
    load: async () => (await import('./doctor.ts')).doctor,
  },
  'send-test': {
    usage: 'send-test ACCOUNT TO',
    summary: 'submit a small test message and print the reply of the provider',
    minPositionals: 2,
    maxPositionals: 2,
    load: async () => (await import('./send-test.ts')).sendTest,
  },
  queue: {
    usage: 'queue list|show|retry|hold|release|drop|export',
    summary:
      'accepted mail that waits [ID… | --account NAME] [--code CODE] [--held] [--older-than 4h] [--limit N] [--yes]; export ID [FILE]',
    minPositionals: 1,
    maxPositionals: 10_001,
    options: QUEUE_OPTIONS,
    load: async () => (await import('./queue.ts')).queue,
  },
  fetch: {
    usage: 'fetch list|run|reset|pause|resume',
    summary: 'mail that is fetched from mailboxes: run RULE [--aside] looks now; reset RULE --yes begins anew; pause RULE, resume RULE',
    minPositionals: 1,
    maxPositionals: 2,
    options: FETCH_OPTIONS,
    load: async () => (await import('./fetch.ts')).fetchCommand,
  },
  trace: {
    usage: 'trace start|list|show|stop',
    summary:
      'what a running relay does for one client, account or message: start client|account|message NAME [--for 15m]; show ID [--follow]; stop ID',
    minPositionals: 1,
    maxPositionals: 3,
    options: TRACE_OPTIONS,
    load: async () => (await import('./trace.ts')).trace,
  },
  'rotate-key': {
    usage: 'rotate-key',
    summary: 'give the state a new key and encrypt stored tokens with it [--reseal: with the newest key of the file, which stays as it is]',
    maxPositionals: 0,
    options: { reseal: { type: 'boolean' } },
    load: async () => (await import('./rotate-key.ts')).rotateKey,
  },
  'hash-password': {
    usage: 'hash-password',
    summary: 'read a password from standard input and print its hash for clients[].passwordHash',
    maxPositionals: 0,
    load: async () => (await import('./hash-password.ts')).hashPasswordCommand,
  },
  import: {
    usage: 'import FILE',
    summary:
      'make a postern.yaml from the configuration of email-oauth2-proxy or SMTP2Graph [--output FILE] [--overwrite] [--cache FILE] [--mailbox ADDRESS]',
    minPositionals: 1,
    maxPositionals: 1,
    options: { output: { type: 'string' }, overwrite: { type: 'boolean' }, cache: { type: 'string' }, mailbox: { type: 'string' } },
    load: async () => (await import('./import.ts')).importCommand,
  },
  health: {
    usage: 'health',
    summary: 'exit 0 when every SMTP listener of the configuration answers, and the relay says that it is ready [--wait SECONDS]',
    maxPositionals: 0,
    options: { wait: { type: 'string' } },
    load: async () => (await import('./health.ts')).health,
  },
  version: {
    usage: 'version',
    summary: 'print the version',
    maxPositionals: 0,
    load: async () => (await import('./version.ts')).version,
  },
};

/** @returns The exit code. Never throws. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    process.stderr.write(`postern: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.problem;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const parsed = parseArguments(args, COMMANDS);
  if (parsed.kind === 'mistake') return usageError(parsed.what);
  const entry = parsed.kind === 'command' ? COMMANDS[parsed.name] : undefined;
  if (parsed.kind === 'help' || entry === undefined) {
    process.stdout.write(usage());
    return EXIT.ok;
  }
  const command = await entry.load();
  return command.run(parsed.invocation);
}

function usageError(what: string): number {
  process.stderr.write(`postern: ${what}\nAll commands and their options: postern help\n`);
  return EXIT.usage;
}

function usage(): string {
  const width = Math.max(...Object.values(COMMANDS).map((entry) => entry.usage.length));
  const lines = Object.values(COMMANDS).map((entry) => `  ${entry.usage.padEnd(width)}  ${entry.summary}`);
  return `Usage: postern COMMAND [--config FILE] [--json]\n\n${lines.join('\n')}\n\nThe configuration is config/postern.yaml unless --config or POSTERN_CONFIG names another (docs/config.md).\n`;
}
