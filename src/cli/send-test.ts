/**
 * `postern send-test ACCOUNT TO`: submits a small message with the account and prints the provider's last reply.
 *
 * @packageDocumentation
 */
import { submitTest, type TestSubmission } from '../app/send-test.ts';
import { isPlainAddress } from '../core/address.ts';
import { chooseAccounts } from './choose-accounts.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand, printJson } from './load.ts';

export const sendTest: Command = {
  async run(invocation) {
    const [name = '', to = ''] = invocation.positionals;
    if (!isPlainAddress(to)) {
      process.stderr.write(`postern: not a mail address: ${to.replace(/[^\u0020-\u007e]/g, '?').slice(0, 100)}\n`);
      return EXIT.usage;
    }
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const [account] = chooseAccounts(loaded.config, name) ?? [];
    if (account === undefined) return EXIT.usage;
    const submission = await submitTest(loaded.config, account, to);
    if (invocation.isJson) printJson({ ok: submission.problem === undefined, account: account.name, ...flat(submission) });
    else process.stdout.write(describe(submission));
    return submission.problem === undefined ? EXIT.ok : EXIT.problem;
  },
};

function flat({ problem, ...rest }: TestSubmission): object {
  return problem === undefined ? rest : { ...rest, problem: problem.code, cause: problem.cause, remedy: problem.remedy };
}

function describe({ from, to, messageId, reply, problem }: TestSubmission): string {
  const lines = [`from     ${from}`, `to       ${to}`, `message  ${messageId}`];
  if (reply !== undefined) lines.push(`reply    ${reply}`);
  if (problem === undefined) return `${[...lines, 'ok: accepted by the provider'].join('\n')}\n`;
  return `${[...lines, `FAIL: ${problem.cause} [${problem.code}]`, `      remedy: ${problem.remedy}`].join('\n')}\n`;
}
