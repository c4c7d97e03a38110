/** Changes of the configuration file: one after another, and shown without the secrets beside them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigWriter } from '../../../src/app/config-writer.ts';
import { loadConfig } from '../../../src/config/load.ts';

const SECRET = 'canary-neighbour-secret-42';
const TEXT = `accounts:
  - name: billing
    provider: microsoft365
    mailbox: billing@contoso.com
    auth:
      grant: client_credentials
      tenant: 00000000-0000-4000-8000-000000000001
      clientId: 00000000-0000-4000-8000-000000000002
      clientSecret: ${SECRET}
clients:
  - name: erp
    username: erp
    password: ${SECRET}
    account: billing
`;

let folder: string;
let file: string;
let writer: ConfigWriter;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-writer-'));
  file = join(folder, 'postern.yaml');
  writeFileSync(file, TEXT, { mode: 0o600 });
  const load = (text?: string) => loadConfig({ file, env: {}, cwd: folder, ...(text === undefined ? {} : { text }) });
  writer = new ConfigWriter({ load, reload: () => Promise.resolve() });
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const add = (name: string, isTrial = false) =>
  writer.change(
    {
      edit: (editor, text) =>
        editor.addItem(text, 'clients', {
          name,
          networks: ['10.0.0.0/8'].map((net) => net.replace('10', name.slice(1))),
          account: 'billing',
        }),
    },
    isTrial,
  );

describe('ConfigWriter', () => {
  it('keeps every one of several changes at once', async () => {
    const names = ['p10', 'p11', 'p12', 'p13'];
    await Promise.all(names.map((name) => add(name)));
    const { clients } = parse(readFileSync(file, 'utf8')) as { clients: { name: string }[] };
    expect(clients.map(({ name }) => name)).toEqual(['erp', ...names]);
  });

  it('goes on after a change that is refused', async () => {
    const outcomes = await Promise.allSettled([add('p10'), add('p10'), add('p11')]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('shows what would change without the secrets around it', async () => {
    for (const isTrial of [true, false]) {
      const { diff, isWritten } = await add('p10', isTrial);
      expect(isWritten).toBe(!isTrial);
      expect(JSON.stringify(diff)).toContain('p10');
      expect(JSON.stringify(diff)).not.toContain(SECRET);
    }
    expect(readFileSync(file, 'utf8')).toContain(SECRET);
  });
});
