/**
 * Puts names into remedies, so that a command can be copied as it stands.
 *
 * Pure. The tables write `ACCOUNT`, `MAILBOX`, `CLIENT_ID` and `providers.NAME` where a name belongs.
 *
 * @packageDocumentation
 */
import type { Account } from './account.ts';

/** `finding` with the account's names in its remedy. */
export function withNames<Advised extends { readonly remedy?: string }>(
  finding: Advised,
  { name, mailbox, auth, provider }: Account,
): Advised {
  if (finding.remedy === undefined) return finding;
  const clientId = 'clientId' in auth ? auth.clientId : undefined;
  const remedy = finding.remedy
    .replace(/\bACCOUNT\b/g, () => name)
    .replace(/\bproviders\.NAME\b/g, () => `providers.${provider.name}`)
    .replace(/\bMAILBOX\b/g, () => mailbox)
    .replace(/\bCLIENT_ID\b/g, (word) => clientId ?? word);
  return { ...finding, remedy };
}
