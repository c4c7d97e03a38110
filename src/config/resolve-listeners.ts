/**
 * From listeners as written to listeners ready to open; checks what one value alone cannot tell: ports used twice, TLS without a
 * certificate, doors open to everybody.
 *
 * @packageDocumentation
 */
import { parseIpNetwork } from '../core/ip-network.ts';
import type { MailboxListenerSettings, SmtpListenerSettings } from '../core/listener.ts';
import type { Octets } from '../core/octets.ts';
import { isLoopbackHost, isLoopbackNetwork, isSameSocket } from './addresses.ts';
import { checkPair } from './certificates.ts';
import type { Config } from './config.ts';
import { defined } from './defined.ts';
import type { ConfigFiles } from './files.ts';
import type { Findings, Path } from './findings.ts';
import type { ListenerInput, MailboxListenerInput, SmtpListenerInput } from './schema-listeners.ts';
import type { Entry, Sections } from './sections.ts';

/** What is common to everything that listens. */
type Socket = Entry<{ readonly host: string; readonly port: number }>;

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** `127.0.0.1:2525`, `[::1]:2525`. */
export const socketName = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** @param defaultMaxSize - For listeners that do not say. */
export async function buildListeners(
  sections: Sections,
  defaultMaxSize: Octets,
  files: ConfigFiles,
  findings: Findings,
): Promise<Config['listeners']> {
  checkPorts(sections, findings);
  checkExposure(sections, findings);
  const imap: MailboxListenerSettings[] = [];
  for (const entry of sections.imap) {
    const { capabilityInGreeting, plainSearch, specialUse } = entry.value;
    const settings = await buildMailboxListener('imap', entry, sections, files, findings);
    imap.push({ ...settings, quirks: { capabilityInGreeting, plainSearch, specialUse } });
  }
  const pop3: MailboxListenerSettings[] = [];
  for (const entry of sections.pop3) pop3.push(await buildMailboxListener('pop3', entry, sections, files, findings));
  const smtp: SmtpListenerSettings[] = [];
  for (const entry of sections.smtp) smtp.push(await buildListener(entry, sections, defaultMaxSize, files, findings));
  return { smtp, imap, pop3 };
}

async function buildMailboxListener(
  protocol: MailboxListenerSettings['protocol'],
  entry: Entry<MailboxListenerInput>,
  sections: Sections,
  files: ConfigFiles,
  findings: Findings,
): Promise<MailboxListenerSettings> {
  const { host, port, tls, minTls, loginTimeout, idleTimeout } = entry.value;
  if (sections.clientCount > 0 && !sections.clients.some(({ value }) => value.username !== undefined)) {
    findings.notice(entry.path, 'no client has a user name: nobody may read mail here', 'no-reader');
  }
  const pair = await readPair(entry, files, findings);
  const tlsFiles = defined({ cert: pair?.cert, key: pair?.key });
  return { protocol, name: socketName(host, port), host, port, tls, ...tlsFiles, minTls, loginTimeout, idleTimeout };
}

async function buildListener(
  entry: Entry<SmtpListenerInput>,
  sections: Sections,
  defaultMaxSize: Octets,
  files: ConfigFiles,
  findings: Findings,
): Promise<SmtpListenerSettings> {
  const { host, port, tls, minTls, requireAuth, requireTls, maxSize = defaultMaxSize, maxRecipients } = entry.value;
  if (requireTls && tls === 'off') findings.problem([...entry.path, 'requireTls'], 'needs tls: starttls or implicit');
  if (requireAuth && sections.clientCount > 0 && !sections.clients.some(({ value }) => value.username !== undefined)) {
    findings.notice([...entry.path, 'requireAuth'], 'no client has a user name: nobody may submit here');
  }
  const pair = await readPair(entry, files, findings);
  return {
    name: socketName(host, port),
    host,
    port,
    tls,
    ...defined({ cert: pair?.cert, key: pair?.key }),
    minTls,
    requireAuth,
    requireTls,
    maxSize,
    maxRecipients,
  };
}

/** The PEM texts of a listener with TLS. */
export async function readPair(
  { path, value }: Entry<Pick<ListenerInput, 'tls' | 'cert' | 'key'>>,
  files: ConfigFiles,
  findings: Findings,
): Promise<Pair | undefined> {
  const { tls, cert, key } = value;
  if (tls === 'off') {
    if (cert !== undefined || key !== undefined) findings.notice([...path, 'tls'], 'is off: cert and key are not used');
    return undefined;
  }
  // Never a built-in certificate: its key would be known to everybody.
  if (cert === undefined) findings.missing([...path, 'cert'], `tls: ${tls} needs cert and key`);
  if (key === undefined) findings.missing([...path, 'key'], `tls: ${tls} needs cert and key`);
  const pair = {
    cert: cert === undefined ? undefined : await readPem(cert, [...path, 'cert'], false, files),
    key: key === undefined ? undefined : await readPem(key, [...path, 'key'], true, files),
  };
  if (pair.cert === undefined || pair.key === undefined) return undefined;
  const fault = checkPair(pair.cert, pair.key);
  if (fault !== undefined) findings.problem([...path, 'key'], fault);
  return { cert: pair.cert, key: pair.key };
}

const readPem = (path: string, at: Path, isSecret: boolean, files: ConfigFiles): Promise<string | undefined> =>
  files.read(path, at, { isSecret });

function checkPorts(sections: Sections, findings: Findings): void {
  const sockets: Socket[] = [
    ...sections.smtp,
    ...sections.imap,
    ...sections.pop3,
    ...(sections.admin === undefined ? [] : [sections.admin]),
  ];
  sockets.forEach((socket, index) => {
    const { host, port } = socket.value;
    const earlier = sockets.slice(0, index).find(({ value }) => value.port === port && isSameSocket(value.host, host));
    if (earlier !== undefined) findings.problem([...socket.path, 'port'], `port ${port} is used twice`);
  });
}

/** Off loopback everybody on the network may connect, so there must be something that tells who may submit. */
function checkExposure(sections: Sections, findings: Findings): void {
  for (const { path, value } of [...sections.smtp, ...sections.imap, ...sections.pop3]) {
    if (isLoopbackHost(value.host)) continue;
    if (sections.clientCount === 0) {
      findings.problem([...path, 'host'], 'is not loopback, and no client has a password or networks: refusing to be an open relay');
    } else if (sections.clients.length > 0 && !sections.clients.some(mayComeFromAfar)) {
      findings.notice([...path, 'host'], 'is not loopback, but every client may come from this machine only');
    }
    if (value.tls === 'off' && sections.clients.some((client) => client.value.username !== undefined)) {
      findings.notice(
        [...path, 'tls'],
        'is off and the listener is not on loopback: passwords are taken only from this machine and from networks of clients',
      );
    }
  }
}

function mayComeFromAfar({ value }: Sections['clients'][number]): boolean {
  if (value.username !== undefined) return true;
  return (value.networks ?? []).some((text) => {
    const network = parseIpNetwork(text);
    return network !== undefined && !isLoopbackNetwork(network);
  });
}
