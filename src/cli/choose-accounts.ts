/**
 * Finds the account that a command names.
 *
 * @packageDocumentation
 */
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';

/** The one named, or all where none is. Undefined where there is none of that name; that has been said then. */
export function chooseAccounts({ accounts, source }: Config, name: string | undefined): readonly Account[] | undefined {
  if (name === undefined) return accounts;
  const chosen = accounts.filter((account) => account.name === name);
  if (chosen.length > 0) return chosen;
  const names = accounts.length === 0 ? 'none is configured' : `there are: ${accounts.map((account) => account.name).join(', ')}`;
  process.stderr.write(`postern: no account named ${name} in ${source}; ${names}\n`);
  return undefined;
}
