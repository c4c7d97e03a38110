/**
 * `postern doctor [ACCOUNT]`: examines an account, or all, step by step.
 *
 * @packageDocumentation
 */
import { describeAccount, describeOutcome, describeVerdict, examine, hasFailed, toJson } from '../app/doctor.ts';
import { chooseAccounts } from './choose-accounts.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand, printJson } from './load.ts';

const QUIET = { account() {}, outcome() {} };

export const doctor: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const accounts = chooseAccounts(loaded.config, invocation.positionals[0]);
    if (accounts === undefined) return EXIT.usage;
    if (accounts.length === 0) {
      if (invocation.isJson) printJson([]);
      else
        process.stdout.write('postern doctor: no account is configured, so there is nothing to examine (postern serve uses the sandbox)\n');
      return EXIT.ok;
    }
    const print = (text: string): void => void process.stdout.write(text);
    const live = {
      account: (account: (typeof accounts)[number]) => print(describeAccount(account)),
      outcome: (outcome: Parameters<typeof describeOutcome>[0]) => print(describeOutcome(outcome)),
    };
    const examined = await examine(loaded.config, loaded.notices, accounts, invocation.isJson ? QUIET : live);
    if (invocation.isJson) printJson(toJson(examined));
    else print(describeVerdict(examined));
    return hasFailed(examined) ? EXIT.problem : EXIT.ok;
  },
};
