/**
 * Puts names into remedies, so that a command can be copied as it stands.
 *
 * Pure. The tables write `ACCOUNT`, `MAILBOX` and `CLIENT_ID` where a name belongs.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';

/** `finding` with the account's names in its remedy. */
export function withNames<Advised extends { readonly remedy?: string }>(finding: Advised, { name, mailbox, auth }: Account): Advised {
  if (finding.remedy === undefined) return finding;
  const clientId = 'clientId' in auth ? auth.clientId : undefined;
  const remedy = finding.remedy
    .replace(/\bACCOUNT\b/g, () => name)
    .replace(/\bMAILBOX\b/g, () => mailbox)
    .replace(/\bCLIENT_ID\b/g, (word) => clientId ?? word);
  return { ...finding, remedy };
}
