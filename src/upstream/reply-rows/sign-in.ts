/**
 * Replies to AUTH, and to MAIL where it turns out that nobody has signed in.
 *
 * Pure data.
 *
 * Sources: Microsoft, "Fix issues with printers, scanners, and LOB applications that send email using Microsoft 365" and transcripts of
 * users; RFC 4954 §6.
 *
 * @packageDocumentation
 */
import { minutes } from '../../core/clock.ts';
import type { ReplyRow } from './row.ts';

const POLICY = /^5\.7\.139$/;

export const SIGN_IN_ROWS: readonly ReplyRow[] = [
  {
    name: 'smtp-auth-disabled-mailbox',
    enhanced: POLICY,
    text: /disabled for the mailbox/i,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_SMTP_AUTH_DISABLED',
    cause: 'SMTP AUTH is switched off for this mailbox; a new token cannot help.',
  },
  {
    name: 'smtp-auth-disabled-tenant',
    enhanced: POLICY,
    text: /disabled for the tenant|smtp_auth_disabled/i,
    verdict: 'config',
    scope: 'tenant',
    problem: 'UPSTREAM_SMTP_AUTH_DISABLED',
    cause: 'SMTP AUTH is switched off for the whole tenant; a new token cannot help.',
    remedy:
      'Switch it on for the mailbox, which wins over the tenant: Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false (Exchange Online PowerShell; wait some minutes).',
  },
  {
    name: 'security-defaults',
    enhanced: POLICY,
    text: /security defaults policy/i,
    verdict: 'config',
    scope: 'tenant',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The security defaults of the tenant lock SMTP AUTH.',
    remedy:
      'Entra admin centre > Overview > Properties > Manage security defaults: replace them by Conditional Access policies, or use grant: client_credentials.',
  },
  {
    name: 'conditional-access',
    enhanced: POLICY,
    text: /did not meet the criteria/i,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'A Conditional Access or authentication policy refuses this sign-in.',
    remedy:
      'Entra admin centre > Sign-in logs: find the sign-in of the mailbox, see which policy refused it, and exclude the mailbox or the application.',
  },
  {
    name: 'basic-disabled',
    enhanced: POLICY,
    text: /basic authentication is disabled/i,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The mailbox no longer takes user name and password.',
    remedy: 'Use OAuth for the account: set accounts[].auth.grant to refresh_token or client_credentials.',
  },
  {
    name: 'password-wrong',
    enhanced: POLICY,
    text: /user credentials were incorrect/i,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_PASSWORD_REFUSED',
    cause: 'User name or password of the mailbox is wrong; each further try may lock it.',
  },
  {
    name: 'organisation-policy',
    enhanced: POLICY,
    text: /organization configuration doesn.?t allow/i,
    verdict: 'config',
    scope: 'tenant',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'An authentication policy of the organisation does not allow this kind of sign-in.',
    remedy: 'Exchange Online PowerShell: Get-AuthenticationPolicy; allow SMTP for the policy of the mailbox.',
  },
  {
    name: 'federation-unreachable',
    enhanced: POLICY,
    text: /federated STS service was unreachable/i,
    verdict: 'transient',
    scope: 'tenant',
    problem: 'UPSTREAM_DEFERRED',
    cause: 'The provider cannot reach the federation server (AD FS) of the organisation.',
    remedy: 'Nothing, if it passes. Else the operator of the federation server must look at it.',
    retryAfter: minutes(15),
  },
  {
    name: 'federation-without-https',
    enhanced: POLICY,
    text: /STS URL does not support HTTPS/i,
    verdict: 'config',
    scope: 'tenant',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The federation server (AD FS) of the organisation is registered without HTTPS.',
    remedy: 'Correct the URL of the federation server in the federation settings of the domain.',
  },
  {
    name: 'sign-in-policy',
    enhanced: POLICY,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'A policy refuses this sign-in.',
    remedy: 'Entra admin centre > Sign-in logs: find the sign-in of the mailbox and see why it was refused.',
  },
  {
    name: 'basic-retired',
    enhanced: /^5\.7\.30$/,
    text: /basic authentication/i,
    verdict: 'config',
    scope: 'tenant',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The provider has ended sign-in by user name and password.',
    remedy: 'Use OAuth for the account: set accounts[].auth.grant to refresh_token or client_credentials.',
  },
  {
    name: 'token-invalid',
    stages: ['auth'],
    enhanced: /^5\.5\.12[47]$/,
    verdict: 'auth',
    scope: 'account',
    problem: 'UPSTREAM_AUTH_REFUSED',
    cause: 'The upstream finds the token invalid, or too close to its end.',
  },
  {
    name: 'login-rate',
    stages: ['auth'],
    codes: [454, 451, 450],
    text: /too many (?:login|authentication)/i,
    verdict: 'transient',
    scope: 'account',
    problem: 'UPSTREAM_BUSY',
    cause: 'Too many sign-ins of this mailbox in a short time.',
    remedy: 'Nothing. Other programs that use the mailbox count too.',
    retryAfter: minutes(15),
  },
  {
    name: 'token-refused',
    stages: ['auth'],
    codes: [535, 534, 538],
    verdict: 'auth',
    scope: 'account',
    problem: 'UPSTREAM_AUTH_REFUSED',
    cause: 'The upstream does not accept the access token for this user.',
  },
  {
    name: 'not-signed-in',
    codes: [530, 550],
    enhanced: /^5\.7\.57$|^5\.7\.0$/,
    text: /authenticat/i,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The upstream does not, or no longer, know that the session has signed in.',
    remedy: 'Check host and port of the provider: submission with sign-in is smtp.office365.com:587 for Microsoft 365.',
  },
];
