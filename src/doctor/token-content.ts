/**
 * Whether an access token for Exchange is the right one: resource, permissions, tenant, user, time.
 *
 * Pure. What Exchange would refuse for certain is a failure; what it may take in some tenants is a warning, since the mail servers are asked anyway.
 *
 * Source: Microsoft, "Authenticate an IMAP, POP or SMTP connection using OAuth", "Application SMTP.SendAsApp" (RBAC for Applications).
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { isSameMailbox } from '../core/address.ts';
import type { EpochMs } from '../core/clock.ts';
import { problem } from '../core/problem.ts';
import { type Finding, fail, ok, warn } from './check.ts';
import type { MailProtocol } from './examination.ts';
import { includes, isApplicationToken, isExchangeAudience, PERMISSIONS } from './exchange.ts';
import type { TokenClaims } from './token-claims.ts';

interface Complaint {
  readonly severity: 'fail' | 'warn';
  readonly what: string;
  readonly remedy: string;
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Seconds that clocks may differ. */
const TOLERANCE = 300;

/** @param needed - Protocols that Postern serves for the account. */
export function judgeContent(claims: TokenClaims, account: Account, needed: ReadonlySet<MailProtocol>, now: EpochMs): Finding {
  const complaints = [
    ...audience(claims),
    ...[...needed].flatMap((protocol) => permission(protocol, claims, account)),
    ...tenant(claims, account),
    ...user(claims, account),
    ...time(claims, now),
  ];
  if (complaints.length === 0) return ok(summary(claims));
  const severity = complaints.some((complaint) => complaint.severity === 'fail') ? 'fail' : 'warn';
  // A warning beside a failure is mostly one of its consequences.
  const told = complaints.filter((complaint) => complaint.severity === severity);
  const remedy = [...new Set(told.map((complaint) => complaint.remedy))].join(' ');
  const what = problem('TOKEN_CONTENT_WRONG', told.map((complaint) => complaint.what).join('; '), { remedy });
  return severity === 'fail' ? fail(what) : warn(what);
}

function summary({ audiences, scopes, roles, user: who }: TokenClaims): string {
  const permissions = scopes.length > 0 ? scopes : roles;
  return `for ${audiences.join(' ')}, ${who === undefined ? 'of the application' : `of ${who}`}, with ${permissions.join(' ') || 'no permission named'}`;
}

function audience({ audiences }: TokenClaims): Complaint[] {
  if (audiences.some(isExchangeAudience)) return [];
  const remedy =
    'Ask for scopes of Exchange, written in full: https://outlook.office.com/SMTP.Send (a bare SMTP.Send means Microsoft Graph); for applications https://outlook.office365.com/.default. Remove accounts[].auth.scopes to get the right ones.';
  return [{ severity: 'fail', what: `the token is for ${audiences.join(' ') || 'nobody'}, not for Exchange`, remedy }];
}

const CONSENT =
  'Entra admin centre > App registrations > the app > API permissions > APIs my organization uses > Office 365 Exchange Online';

function permission(protocol: MailProtocol, claims: TokenClaims, account: Account): Complaint[] {
  const { delegated, application } = PERMISSIONS[protocol];
  if (isApplicationToken(claims)) {
    if (claims.roles.includes(application)) return [];
    const remedy = `${CONSENT} > Application permissions: add ${application} and grant admin consent${protocol === 'smtp' ? ', unless the application has the Exchange role "Application SMTP.SendAsApp" in its place' : ''}.`;
    return [{ severity: protocol === 'smtp' ? 'warn' : 'fail', what: `the token lacks the role ${application}`, remedy }];
  }
  if (includes(protocol, account, claims)) return [];
  const remedy = `${CONSENT} > Delegated permissions: add ${delegated}, have it among the scopes, then sign in again: postern login ACCOUNT.`;
  return [{ severity: 'fail', what: `the token lacks the scope ${delegated}`, remedy }];
}

function tenant({ tenantId }: TokenClaims, { auth }: Account): Complaint[] {
  const configured = 'tenant' in auth ? auth.tenant : undefined;
  if (configured === undefined || tenantId === undefined || !GUID.test(configured)) return [];
  if (configured.toLowerCase() === tenantId.toLowerCase()) return [];
  const remedy = 'Sign in as a user of that tenant (postern login ACCOUNT), or correct accounts[].auth.tenant.';
  return [{ severity: 'fail', what: `the token is of tenant ${tenantId}, configured is ${configured}`, remedy }];
}

/** One mailbox can have several names, so the mail servers have the last word. */
function user({ user: who }: TokenClaims, { smtpUser, mailbox }: Account): Complaint[] {
  if (who === undefined || isSameMailbox(who, smtpUser)) return [];
  const remedy = isSameMailbox(smtpUser, mailbox)
    ? `If MAILBOX is a shared mailbox: set accounts[].smtpUser: ${who}. Else sign in as MAILBOX: postern login ACCOUNT.`
    : `Set accounts[].smtpUser to the user that signed in (${who}), or sign in as ${smtpUser}: postern login ACCOUNT.`;
  return [{ severity: 'warn', what: `${who} signed in, and SMTP is to sign in as ${smtpUser}`, remedy }];
}

function time({ expiresAt, notBefore }: TokenClaims, now: EpochMs): Complaint[] {
  const seconds = now / 1000;
  const remedy = 'Set the clock of this machine: timedatectl set-ntp true. A container or virtual machine takes it from its host.';
  if (expiresAt !== undefined && expiresAt <= seconds)
    return [{ severity: 'fail', what: "by this machine's clock the token has ended", remedy }];
  if (notBefore !== undefined && notBefore > seconds + TOLERANCE) {
    return [{ severity: 'fail', what: "by this machine's clock the token is not valid yet", remedy }];
  }
  return [];
}
