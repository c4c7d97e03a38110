/**
 * `postern serve` as a process, with an admin port and a provider of a test, on a configuration file that the page may change.
 *
 * @packageDocumentation
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from './free-port.ts';
import { postern, type RunningProcess } from './process.ts';

/** Stands in the configuration file. */
export const COMMENT = '# Nobody may remove this comment.';

export interface ServedPostern {
  readonly process: RunningProcess;
  /** Its configuration. */
  readonly file: string;
  /** Where it takes messages. */
  readonly port: number;
  /** Of the admin page, with a slash at the end. */
  readonly url: string;
}

export interface ServedSettings {
  /** Where its folder is made. */
  readonly folder: string;
  /** By name, as under `providers`. */
  readonly providers: Readonly<Record<string, object>>;
  /** Text of the sections of accounts and clients; `accounts:` alone unless told. */
  readonly users?: string;
  readonly adminPassword?: string;
}

/** Resolves when it is ready. */
export async function servePostern({ folder, providers, users = 'accounts:', adminPassword }: ServedSettings): Promise<ServedPostern> {
  const adminPort = await freePort();
  const port = await freePort();
  const file = join(mkdtempSync(join(folder, 'home-')), 'postern.yaml');
  const password = adminPassword === undefined ? '' : `, password: '${adminPassword}'`;
  writeFileSync(
    file,
    `${COMMENT}
listeners: { smtp: [{ host: 127.0.0.1, port: ${port} }] }
admin: { host: 127.0.0.1, port: ${adminPort}${password} }
state: { dir: ./var }
${stringify({ providers })}
${users}
log: { level: info, format: json }
`,
  );
  const running = postern(['serve', '--config', file]);
  await running.until(/"event":"ready"/);
  return { process: running, file, port, url: `http://127.0.0.1:${adminPort}/` };
}
