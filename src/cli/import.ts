/**
 * `postern import FILE`: from the configuration of email-oauth2-proxy or SMTP2Graph to a postern.yaml, and a list of what could not be carried.
 *
 * @packageDocumentation
 */
import { resolve } from 'node:path';
import { describeFinding } from '../config/config.ts';
import { importConfig } from '../config/import/import.ts';
import type { Leftover } from '../config/import/imported.ts';
import { loadConfig } from '../config/load.ts';
import { createFile, replaceFile } from '../platform/atomic-file.ts';
import { type Command, EXIT, type Invocation } from './command.ts';
import { printJson } from './load.ts';

export const importCommand: Command = {
  async run(invocation) {
    const { positionals, options, isJson } = invocation;
    const imported = await importConfig({ file: positionals[0] ?? '', ...textOption(options, 'cache'), ...textOption(options, 'mailbox') });
    if (!imported.ok) {
      if (isJson) printJson({ ok: false, problems: imported.problems });
      else process.stderr.write(`postern: nothing was imported\n${imported.problems.map((line) => `  ${line}\n`).join('')}`);
      return EXIT.problem;
    }
    const output = outputOf(invocation);
    if (!(await write(output, imported.text, options['overwrite'] === true))) {
      process.stderr.write(`postern: ${output} is there already and was left alone: name another with --output, or give --overwrite\n`);
      return EXIT.problem;
    }
    const checked = await loadConfig({ file: output, env: process.env, cwd: process.cwd() });
    const problems = checked.ok ? [] : checked.problems;
    const { origin, accounts, clients, leftovers } = imported;
    if (isJson) printJson({ ok: checked.ok, output, origin, accounts, clients, notCarried: leftovers, problems });
    else {
      process.stdout.write(`${output}: ${accounts} accounts and ${clients} clients from ${origin}\n${describeLeftovers(leftovers)}`);
      if (problems.length > 0)
        process.stdout.write(`To be put right in it:\n${problems.map((each) => `  ${describeFinding(each)}\n`).join('')}`);
      process.stdout.write(`Next: postern check --config ${output}\n`);
    }
    return checked.ok ? EXIT.ok : EXIT.problem;
  },
};

function outputOf({ options, configFile }: Invocation): string {
  const { output } = options;
  return resolve(typeof output === 'string' ? output : (configFile ?? 'postern.yaml'));
}

/** @returns False where there is a file already. */
async function write(path: string, text: string, mayOverwrite: boolean): Promise<boolean> {
  const content = Buffer.from(text);
  if (!mayOverwrite) return createFile(path, content);
  await replaceFile(path, content);
  return true;
}

function describeLeftovers(leftovers: readonly Leftover[]): string {
  if (leftovers.length === 0) return 'Everything was carried over.\n';
  const lines = leftovers.map(({ where, line, reason, remedy }) => {
    const place = line === undefined ? where : `${where} (line ${line})`;
    return `  ${place.replaceAll(/\p{C}/gu, '?')}: ${reason}\n    ${remedy}\n`;
  });
  return `Not carried over, or not as it was:\n${lines.join('')}`;
}

function textOption<Name extends string>(options: Invocation['options'], name: Name): { readonly [key in Name]?: string } {
  const value = options[name];
  return typeof value === 'string' ? ({ [name]: value } as { [key in Name]: string }) : {};
}
