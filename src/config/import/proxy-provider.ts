/**
 * Which provider an account of email-oauth2-proxy has: a built-in one where its token URL is that of one, else one of its own.
 *
 * That proxy ties no account to a server: an application picks a port, and with it the server. Here the account knows its servers; for built-in
 * providers they are known, for others they are the servers of the file that belong to no built-in one.
 *
 * @packageDocumentation
 */
import { PRESETS, type Protocol } from '../presets.ts';

/** A server section of the old file. */
export interface ProxyServer {
  readonly section: string;
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
  readonly tls: 'starttls' | 'implicit';
}

/** What the account says. */
export interface ProxyUrls {
  readonly tokenUrl: string;
  readonly permissionUrl?: string;
  readonly isDevice: boolean;
}

/** `servers`: those that were taken, by protocol; `choices`: protocols for which several would do, so that the first was taken. */
export type FoundProvider =
  | { readonly kind: 'preset'; readonly name: string; readonly tenant?: string }
  | {
      readonly kind: 'own';
      readonly fields: object;
      readonly tenant?: string;
      readonly hasSmtp: boolean;
      readonly choices: readonly Protocol[];
    };

/** Templates that email-oauth2-proxy's own examples have and our presets write in another way. */
const SAME_TOKEN_URLS: ReadonlyMap<string, string> = new Map([
  ['https://accounts.google.com/o/oauth2/token', 'google'],
  ['https://www.googleapis.com/oauth2/v4/token', 'google'],
]);

const MICROSOFT_PATH = /^\/([^/]+)\/oauth2\/v2\.0\/token$/;

export function findProvider(urls: ProxyUrls, servers: readonly ProxyServer[]): FoundProvider {
  const url = URL.canParse(urls.tokenUrl) ? new URL(urls.tokenUrl) : undefined;
  const tenant = url === undefined ? undefined : MICROSOFT_PATH.exec(url.pathname)?.[1];
  const template = tenant === undefined ? urls.tokenUrl : urls.tokenUrl.replace(`/${tenant}/`, '/{tenant}/');
  const candidates = [...PRESETS].filter(([name, fields]) => name !== 'sandbox' && fields.tokenUrl === template).map(([name]) => name);
  const same = SAME_TOKEN_URLS.get(urls.tokenUrl);
  if (same !== undefined) return { kind: 'preset', name: same };
  const [first] = candidates;
  if (first !== undefined)
    return { kind: 'preset', name: pick(candidates, first, tenant, servers), ...(tenant === undefined ? {} : { tenant }) };
  return own(urls, template, tenant, servers);
}

/** Clouds of one sign-in host differ in their servers; personal accounts in their tenant. */
function pick(candidates: readonly string[], first: string, tenant: string | undefined, servers: readonly ProxyServer[]): string {
  if (candidates.includes('outlook') && tenant === 'consumers') return 'outlook';
  const others = candidates.filter((name) => name !== 'outlook');
  return others.find((name) => servers.some(({ host }) => host === PRESETS.get(name)?.smtp?.host)) ?? others[0] ?? first;
}

function own(urls: ProxyUrls, tokenUrl: string, tenant: string | undefined, servers: readonly ProxyServer[]): FoundProvider {
  const known = new Set(
    [...PRESETS].flatMap(([, { smtp, imap, pop3 }]) => [smtp?.host, imap?.host, pop3?.host]).filter((host) => host !== '127.0.0.1'),
  );
  const own = servers.filter(({ host }) => !known.has(host));
  const of = (protocol: Protocol): readonly ProxyServer[] => {
    const some = own.filter((server) => server.protocol === protocol);
    return some.filter((server, index) => some.findIndex(({ host, port }) => host === server.host && port === server.port) === index);
  };
  const protocols = ['smtp', 'imap', 'pop3'] as const;
  const endpoints = protocols.flatMap((protocol) => {
    const [server] = of(protocol);
    return server === undefined ? [] : [[protocol, { host: server.host, port: server.port, tls: server.tls }]];
  });
  const permission = tenant === undefined ? urls.permissionUrl : urls.permissionUrl?.replace(`/${tenant}/`, '/{tenant}/');
  return {
    kind: 'own',
    fields: {
      ...(permission === undefined ? {} : { [urls.isDevice ? 'deviceUrl' : 'authorizeUrl']: permission }),
      tokenUrl,
      ...Object.fromEntries(endpoints),
    },
    ...(tenant === undefined ? {} : { tenant }),
    hasSmtp: of('smtp').length > 0,
    choices: protocols.filter((protocol) => of(protocol).length > 1),
  };
}
