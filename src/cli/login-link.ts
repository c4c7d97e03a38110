/**
 * `postern login ACCOUNT --link`: a link for the owner of the mailbox, who is no operator, from the relay that runs.
 *
 * @packageDocumentation
 */
import { controlOf } from '../app/running-relay.ts';
import type { AdminSettings } from '../core/admin.ts';
import { isLoopback, parseIpAddress } from '../core/ip-network.ts';
import { EXIT, type Invocation } from './command.ts';
import { loadForCommand, printJson } from './load.ts';
import { reportingProblems } from './report.ts';

export async function makeLink(invocation: Invocation): Promise<number> {
  const [account = ''] = invocation.positionals;
  const loaded = await loadForCommand(invocation);
  if ('exitCode' in loaded) return loaded.exitCode;
  const { config } = loaded;
  const { admin } = config;
  if (admin === undefined) {
    process.stderr.write('postern: a link leads to the admin port, and there is no section admin in the configuration\n');
    return EXIT.usage;
  }
  return reportingProblems(invocation.isJson, async () => {
    const { secret, expiresAt } = await controlOf(config).makeSignInLink(account);
    const url = `${siteOf(admin)}/sign-in#${secret}`;
    if (invocation.isJson) printJson({ ok: true, account, url, expiresAt });
    else process.stdout.write(describeLink(url, account, expiresAt, admin));
    return EXIT.ok;
  });
}

/** By the name that was configured for it, if one was; its certificate is for that. */
function siteOf({ tls, host, port, hostnames: [machine, configured] }: AdminSettings): string {
  const isAnywhere = host === '0.0.0.0' || host === '::';
  const name = configured ?? (isAnywhere ? (machine ?? 'localhost') : host);
  return `${tls === 'off' ? 'http' : 'https'}://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function describeLink(url: string, account: string, expiresAt: string, { host, tls }: AdminSettings): string {
  const address = parseIpAddress(host);
  const isLocal = host === 'localhost' || (address !== undefined && isLoopback(address));
  const local = 'The admin port is open on this machine only: from elsewhere the link leads nowhere (admin.host, admin.tls).\n';
  const clear = 'The admin port is not encrypted: whoever listens on the way can use the link first (admin.tls).\n';
  return `Send this to the owner of the mailbox of account ${account}. It can be opened once, until ${expiresAt}, and lets them sign in and do nothing else:

  ${url}

${isLocal ? local : tls === 'off' ? clear : ''}`;
}
