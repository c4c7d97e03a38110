/**
 * What the configuration may already say and this version does not do. Each later version deletes rows here.
 *
 * A row is a problem where going on would do something else than what was asked for, and a notice where a part is merely not served.
 *
 * @packageDocumentation
 */
import type { Findings, Path } from './findings.ts';
import type { Sections } from './sections.ts';

/** Protocols that are served, and whose scopes are therefore asked for. */
export const SERVED_PROTOCOLS: readonly ('smtp' | 'imap' | 'pop3')[] = ['smtp'];

const GRANTS = new Set(['service_account', 'command', 'basic']);
const CLIENT_PROOFS = ['certificate', 'federatedTokenFile', 'managedIdentity'] as const;

const NOT_SERVED: readonly { readonly path: Path; readonly what: string }[] = [
  { path: ['listeners', 'imap'], what: 'the IMAP proxy is not served in this version' },
  { path: ['listeners', 'pop3'], what: 'the POP3 proxy is not served in this version' },
  { path: ['admin'], what: 'the admin port is not served in this version' },
  { path: ['fetch'], what: 'mail is not fetched in this version' },
  { path: ['alerts'], what: 'alerts are not sent in this version' },
  { path: ['delivery', 'giveUpAfter'], what: 'has no effect without the spool, which this version does not have' },
  { path: ['delivery', 'warnAfter'], what: 'has no effect without the spool, which this version does not have' },
  { path: ['delivery', 'dsn'], what: 'has no effect without the spool, which this version does not have' },
  { path: ['delivery', 'queueLimit'], what: 'has no effect without the spool, which this version does not have' },
];

const NO_SPOOL = 'queue needs the spool, which is not available in this version: use direct';

export function checkNotYet(sections: Sections, findings: Findings): void {
  for (const { path, what } of NOT_SERVED) if (sections.has(...path)) findings.notice(path, what);
  if (sections.delivery.mode === 'queue') findings.problem(['delivery', 'mode'], NO_SPOOL);
  for (const { path, value } of sections.clients) {
    if (value.onOtherSender === 'rewrite') {
      findings.problem([...path, 'onOtherSender'], 'rewrite is not available in this version: list the address under senders');
    }
  }
  for (const { path, value } of sections.accounts) {
    if (value.delivery === 'queue') findings.problem([...path, 'delivery'], NO_SPOOL);
    const { auth } = value;
    if (GRANTS.has(auth.grant)) findings.problem([...path, 'auth', 'grant'], `grant ${auth.grant} is not available in this version`);
    for (const key of CLIENT_PROOFS) {
      if (auth[key] !== undefined && !GRANTS.has(auth.grant)) {
        findings.problem([...path, 'auth', key], `${key} is not available in this version: use clientSecret`);
      }
    }
  }
}
