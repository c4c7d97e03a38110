/**
 * From the `admin` section as written to an admin port ready to open.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import type { AdminSettings } from '../core/admin.ts';
import { isPasswordHash } from '../platform/password.ts';
import { isLoopbackHost } from './addresses.ts';
import { defined } from './defined.ts';
import type { ConfigFiles } from './files.ts';
import type { Findings } from './findings.ts';
import { readPair, socketName } from './resolve-listeners.ts';
import type { Sections } from './sections.ts';

/** Shorter ones are guessed. */
const SHORTEST_PASSWORD = 8;

/** Undefined where there is no such section, or it has problems. */
export async function buildAdmin(sections: Sections, files: ConfigFiles, findings: Findings): Promise<AdminSettings | undefined> {
  if (sections.admin === undefined) return undefined;
  const { path, value } = sections.admin;
  const { host, port, tls } = value;
  const pair = await readPair(sections.admin, files, findings);
  const secret = secretOf(sections.admin, findings);
  if (!isLoopbackHost(host)) {
    if (secret === undefined && !sections.has(...path, 'password') && !sections.has(...path, 'passwordHash'))
      findings.missing([...path, 'password'], 'the admin port is not on loopback');
    if (tls === 'off')
      findings.notice([...path, 'tls'], 'is off and the admin port is not on loopback: its password travels in clear text');
  }
  return {
    name: socketName(host, port),
    host,
    port,
    tls,
    minTls: 'TLSv1.2',
    ...defined({ cert: pair?.cert, key: pair?.key, secret }),
    hostnames: [...new Set([hostname(), ...(value.hostnames ?? [])].map((name) => name.toLowerCase()))],
  };
}

function secretOf({ path, value }: NonNullable<Sections['admin']>, findings: Findings): AdminSettings['secret'] {
  const { password, passwordHash } = value;
  if (password !== undefined && passwordHash !== undefined)
    findings.problem([...path, 'passwordHash'], 'there is a password as well: keep one of the two');
  if (password !== undefined) {
    if (password.length < SHORTEST_PASSWORD)
      findings.notice([...path, 'password'], `is shorter than ${SHORTEST_PASSWORD} characters: it can be guessed`);
    return { kind: 'password', password };
  }
  if (passwordHash === undefined) return undefined;
  if (!isPasswordHash(passwordHash)) findings.problem([...path, 'passwordHash'], 'is not what postern hash-password prints');
  return { kind: 'hash', hash: passwordHash };
}
