/**
 * All checks, in order: what is near first, so that the first failure is the one to repair.
 *
 * @packageDocumentation
 */
import type { Check } from './check.ts';
import { configCheck, secretEndCheck, secretsCheck, stateCheck } from './checks/configured.ts';
import { imapChecks, pop3Checks } from './checks/mailbox.ts';
import { senderDomainCheck, smtpChecks } from './checks/smtp.ts';
import { refreshTokenCheck, tokenCheck, tokenContentCheck } from './checks/token.ts';
import { clockCheck, tokenEndpointCheck } from './checks/token-endpoint.ts';

export const CHECKS: readonly Check[] = [
  configCheck,
  secretsCheck,
  secretEndCheck,
  stateCheck,
  tokenEndpointCheck,
  clockCheck,
  tokenCheck,
  tokenContentCheck,
  refreshTokenCheck,
  ...smtpChecks,
  senderDomainCheck,
  ...imapChecks,
  ...pop3Checks,
];
