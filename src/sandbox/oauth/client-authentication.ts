/**
 * Who is calling the token endpoint: a confidential client with its secret, or a public one without.
 *
 * Source: RFC 6749 §2.3.1. Secret in the body or in HTTP Basic; a certificate or federated assertion is refused with AADSTS700027.
 *
 * @packageDocumentation
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Directory, SandboxClient } from '../directory.ts';
import { EntraRefusal } from './entra-errors.ts';

/** @throws EntraRefusal */
export function authenticateClient(form: URLSearchParams, headers: IncomingHttpHeaders, directory: Directory): SandboxClient {
  const basic = basicCredentials(headers.authorization);
  const clientId = form.get('client_id') ?? basic?.clientId;
  if (clientId === undefined || clientId === '') throw new EntraRefusal(900144, 'client_id');
  const client = directory.findClient(clientId);
  if (client === undefined) throw new EntraRefusal(700016);
  const secret = form.get('client_secret') ?? basic?.secret;
  if (client.clientSecret === undefined) {
    if (secret !== undefined || form.has('client_assertion')) throw new EntraRefusal(700025);
    return client;
  }
  if (form.has('client_assertion')) throw new EntraRefusal(700027, 'the sandbox checks secrets only');
  if (secret === undefined || secret === '') throw new EntraRefusal(7000218);
  if (secret !== client.clientSecret) throw new EntraRefusal(7000215);
  return client;
}

function basicCredentials(authorization: string | undefined): { clientId: string; secret: string } | undefined {
  const encoded = /^basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [clientId = '', ...secret] = Buffer.from(encoded, 'base64').toString().split(':').map(formDecode);
  return { clientId, secret: secret.join(':') };
}

/** Both halves are form-encoded before they are joined. */
function formDecode(text: string): string {
  return new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? '';
}
