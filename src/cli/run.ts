/**
 * Finds the command named by the arguments and runs it.
 *
 * Exit codes: 0 ok, 1 found a problem, 2 usage, 78 bad configuration (EX_CONFIG of sysexits.h).
 *
 * @packageDocumentation
 */
import { parseArgs } from 'node:util';
import { type Command, EXIT } from './command.ts';

interface CommandEntry {
  readonly usage: string;
  readonly summary: string;
  readonly maxPositionals: number;
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
  'hash-password': {
    usage: 'hash-password',
    summary: 'read a password from standard input and print its hash for clients[].passwordHash',
    maxPositionals: 0,
    load: async () => (await import('./hash-password.ts')).hashPasswordCommand,
  },
  health: {
    usage: 'health',
    summary: 'exit 0 when every SMTP listener of the configuration answers',
    maxPositionals: 0,
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
  const parsed = parse(args);
  if (typeof parsed === 'string') return usageError(parsed);
  const { values, positionals } = parsed;
  if (values.version === true) return dispatch(['version']);
  const [name, ...rest] = positionals;
  if (values.help === true || name === 'help') {
    process.stdout.write(usage());
    return EXIT.ok;
  }
  if (name === undefined) return usageError('no command given');
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) return usageError(`unknown command: ${name}`);
  if (rest.length > entry.maxPositionals) return usageError(`too many arguments: postern ${entry.usage}`);
  const command = await entry.load();
  return command.run({
    positionals: rest,
    ...(values.config === undefined ? {} : { configFile: values.config }),
    isJson: values.json === true,
  });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'V' },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function usageError(what: string): number {
  process.stderr.write(`postern: ${what}\n\n${usage()}`);
  return EXIT.usage;
}

function usage(): string {
  const width = Math.max(...Object.values(COMMANDS).map((entry) => entry.usage.length));
  const lines = Object.values(COMMANDS).map((entry) => `  ${entry.usage.padEnd(width)}  ${entry.summary}`);
  return `Usage: postern COMMAND [--config FILE] [--json]\n\n${lines.join('\n')}\n\nThe configuration is config/postern.yaml unless --config or POSTERN_CONFIG names another (docs/config.md).\n`;
}
