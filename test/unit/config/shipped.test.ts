/** The configuration and the examples that are shipped load, and say what they should. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { hashPassword } from '../../../src/platform/password.ts';
import { ConfigFolder, configOf, noticesOf } from '../../support/config-folder.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const projectRoot = join(import.meta.dirname, '../../..');
const folder = new ConfigFolder();
const pair = createTestAuthority().issue({ hosts: ['localhost'] });
afterAll(() => folder.remove());

describe('files that are shipped', () => {
  it('start the sandbox as they are', async () => {
    const config = configOf(await loadConfig({ env: {}, cwd: projectRoot }));
    expect(config).toMatchObject({
      accounts: [],
      clients: [{ name: 'local', account: 'sandbox', networks: ['127.0.0.0/8', '::1/128'] }],
      listeners: { smtp: [{ name: '127.0.0.1:2525' }], imap: [{ name: '127.0.0.1:1143' }], pop3: [{ name: '127.0.0.1:1110' }] },
      state: { dir: join(projectRoot, 'var') },
      log: { format: 'pretty' },
    });
  });

  it('relay to Microsoft 365 once the account in them is uncommented', async () => {
    folder.write('client_secret', 'client~secret');
    folder.write('erp_password', 'local-password');
    const text = readFileSync(join(projectRoot, 'config/postern.yaml'), 'utf8');
    const uncommented = text
      .replaceAll(/^#( {2}.*)$/gm, '$1')
      .replaceAll('/run/secrets/', '')
      .replace('- name: local', '- account: billing\n    name: local');
    expect(configOf(await folder.load(uncommented))).toMatchObject({
      accounts: [{ name: 'billing', auth: { grant: 'client_credentials', clientSecret: 'client~secret' } }],
      clients: [{ name: 'local' }, { name: 'erp', senders: ['billing@contoso.com', '*@contoso.com'] }],
    });
  });

  it.each(['microsoft365-refresh-token', 'microsoft365-app-only', 'sidecar'])('give an example that loads: %s', async (name) => {
    for (const secret of ['client_secret', 'refresh_token', 'erp_password']) folder.write(secret, `value-of-${secret}`);
    folder.write('cert.pem', pair.certPem);
    folder.write('key.pem', pair.keyPem);
    const text = readFileSync(join(projectRoot, `config/examples/${name}.yaml`), 'utf8').replaceAll(
      /\/run\/secrets\/|\/etc\/postern\/tls\//g,
      '',
    );
    const env = {
      ERP_PASSWORD_HASH: await hashPassword('x'),
      SMTP_PORT: '2525',
      MAILBOX: 'app@contoso.com',
      TENANT: 'contoso.com',
      CLIENT_ID: '11111111-2222-3333-4444-555555555555',
    };
    const result = await folder.load(text, env);
    expect(configOf(result).accounts).toHaveLength(1);
    expect(noticesOf(result)).toEqual([]);
  });
});
