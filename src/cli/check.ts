/**
 * `postern check`: reads the configuration and every file it names, tries the state directory and the ports, and lists every problem.
 *
 * @packageDocumentation
 */
import { inspectMachine, openNotices } from '../app/inspect.ts';
import { describeFinding } from '../config/config.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand, printJson } from './load.ts';

export const check: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const { config } = loaded;
    const problems = await inspectMachine(config);
    const notices = await openNotices(config, loaded.notices);
    if (invocation.isJson) {
      printJson({ ok: problems.length === 0, source: config.source, problems, notices });
    } else {
      for (const notice of notices) process.stdout.write(`note: ${describeFinding(notice)}\n`);
      for (const { path, message } of problems) process.stdout.write(`problem: ${path}: ${message}\n`);
      process.stdout.write(summary(config.source, problems.length, config.accounts.length, config.clients.length));
    }
    return problems.length === 0 ? EXIT.ok : EXIT.problem;
  },
};

function summary(source: string, problems: number, accounts: number, clients: number): string {
  if (problems > 0) return `${source}: ${problems} problem${problems === 1 ? '' : 's'}\n`;
  const accountText = accounts === 0 ? 'no account (the sandbox will be used)' : `${accounts} account${accounts === 1 ? '' : 's'}`;
  return `${source}: ok, ${accountText}, ${clients} client${clients === 1 ? '' : 's'}\n`;
}
