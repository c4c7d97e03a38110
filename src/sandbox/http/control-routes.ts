/**
 * The URLs by which people and other processes look into the sandbox and set its switches.
 *
 * @packageDocumentation
 */
import { FaultSyntaxError, parseFaults } from '../fault-parser.ts';
import { defaultFaults, type FaultSwitches, setFaults } from '../faults.ts';
import type { Mint } from '../mint.ts';
import type { ReceivedMessage, ReceivedMessages } from '../received-messages.ts';
import type { SandboxStatistics } from '../statistics.ts';
import type { TrustedCredentials } from '../trusted-credentials.ts';
import { type HttpAnswer, HttpRefusal, type HttpRequest, json, noContent, parseJsonBody, plainText, type Route } from './answer.ts';
import { messagePage } from './message-page.ts';

/** What can be looked at and set. */
export interface ControlDependencies {
  readonly messages: ReceivedMessages;
  readonly faults: FaultSwitches;
  readonly statistics: SandboxStatistics;
  readonly mint: Mint;
  readonly trusted: TrustedCredentials;
  /** What a client has to know: URLs, tenant, credentials. */
  readonly about: () => object;
}

export function controlRoutes(deps: ControlDependencies): readonly Route[] {
  const { messages, faults, statistics, mint, trusted } = deps;
  const id = '(?<id>[^/]+)';
  return [
    { method: 'GET', path: /^\/$/, handle: () => messagePage(messages) },
    { method: 'GET', path: /^\/about$/, handle: () => json(200, deps.about()) },
    { method: 'GET', path: /^\/messages$/, handle: () => json(200, { messages: messages.list().map((one) => present(one, messages)) }) },
    { method: 'DELETE', path: /^\/messages$/, handle: () => after(() => messages.clear()) },
    { method: 'GET', path: new RegExp(`^/messages/${id}/raw$`), handle: (request) => rawMessage(request, messages) },
    { method: 'GET', path: /^\/faults$/, handle: () => json(200, faults) },
    { method: 'PUT', path: /^\/faults$/, handle: (request) => changeFaults(request, faults, defaultFaults()) },
    { method: 'PATCH', path: /^\/faults$/, handle: (request) => changeFaults(request, faults, faults) },
    { method: 'DELETE', path: /^\/faults$/, handle: () => after(() => setFaults(faults, defaultFaults())) },
    { method: 'GET', path: /^\/stats$/, handle: () => json(200, statistics) },
    { method: 'POST', path: /^\/refresh-tokens$/, handle: (request) => json(201, { refreshToken: mint.refreshToken(mailboxOf(request)) }) },
    { method: 'POST', path: /^\/access-tokens$/, handle: (request) => json(201, { accessToken: mint.accessToken(mailboxOf(request)) }) },
    { method: 'POST', path: /^\/trusted$/, handle: (request) => trust(request, trusted) },
    { method: 'DELETE', path: /^\/refresh-tokens$/, handle: () => after(() => mint.revokeRefreshTokens()) },
    { method: 'DELETE', path: /^\/access-tokens$/, handle: () => after(() => mint.revokeAccessTokens()) },
  ];
}

function after(act: () => void): HttpAnswer {
  act();
  return noContent();
}

function present(message: ReceivedMessage, messages: ReceivedMessages): object {
  const receivedAt = new Date(message.receivedAt).toISOString();
  return { ...message, receivedAt, hasContent: messages.content(message.id) !== undefined };
}

function rawMessage({ parameters }: HttpRequest, messages: ReceivedMessages): HttpAnswer {
  const id = parameters.get('id') ?? '';
  const content = messages.content(id);
  if (content === undefined) throw new HttpRefusal(messages.find(id) === undefined ? 404 : 410, 'That content is not here any more.');
  // Shown as text whatever is in it: with nosniff and this policy nothing in a message runs.
  return plainText(200, content, { 'content-security-policy': "default-src 'none'; sandbox" });
}

function changeFaults(request: HttpRequest, faults: FaultSwitches, base: FaultSwitches): HttpAnswer {
  try {
    setFaults(faults, parseFaults(parseJsonBody(request), base));
  } catch (error) {
    if (error instanceof FaultSyntaxError) throw new HttpRefusal(400, error.message);
    throw error;
  }
  return json(200, faults);
}

/** One credential, as an administrator would register it. */
function trust(request: HttpRequest, trusted: TrustedCredentials): HttpAnswer {
  const body = parseJsonBody(request);
  const fields = new Map<string, unknown>(typeof body === 'object' && body !== null ? Object.entries(body) : []);
  const text = (name: string): string => {
    const value = fields.get(name);
    if (typeof value !== 'string' || value === '') throw new HttpRefusal(400, `${name} is missing.`);
    return value;
  };
  try {
    if (fields.has('certificate')) trusted.addCertificate(text('certificate'));
    else if (fields.has('issuer')) trusted.addFederatedCredential(text('issuer'), text('subject'), text('publicKey'));
    else if (fields.has('clientEmail')) trusted.addServiceAccount(text('clientEmail'), text('publicKey'));
    else if (fields.has('password')) trusted.setPassword(text('mailbox'), text('password'));
    else throw new HttpRefusal(400, TRUST_FORMS);
  } catch (error) {
    throw error instanceof HttpRefusal ? error : new HttpRefusal(400, 'That is no certificate or public key in PEM form.');
  }
  return noContent();
}

const TRUST_FORMS =
  'Give {"certificate"}, {"issuer","subject","publicKey"}, {"clientEmail","publicKey"} or {"mailbox","password"}; keys and certificates as PEM.';

function mailboxOf(request: HttpRequest): string {
  const body = parseJsonBody(request);
  const mailbox = typeof body === 'object' && body !== null && 'mailbox' in body ? body.mailbox : undefined;
  if (typeof mailbox !== 'string' || !/^[^\s@]{1,64}@[^\s@]{1,255}$/.test(mailbox))
    throw new HttpRefusal(400, 'Name a mailbox: {"mailbox":"a@b"}');
  return mailbox;
}
