/**
 * Settings as Postern shows them, for programs of Debian: Postfix as a null client and msmtp, which send what others on the machine give to `sendmail`; and PHPMailer.
 *
 * @packageDocumentation
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AppSettings } from '../../src/page/snippets/application.ts';
import { APPLICATIONS } from '../../src/page/snippets/applications.ts';
import { createWorkFolder, eventually, type WorkFolder } from '../support/real/daemon.ts';
import { type NullClient, startNullClient } from '../support/real/null-client.ts';
import { ensurePackages } from '../support/real/packages.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { createTestAuthority } from '../support/test-ca.ts';

const MAILBOX = 'billing@sandbox.test';
const LOGIN = { username: 'erp', password: 'Made_by-Postern0' };
const CONTENT = 'Subject: from a program on the machine\n\nHello\n';
const TLS = ['off', 'starttls', 'implicit'] as const;

const noMsmtp = await whyNot('msmtp');
const noPhp = await whyNot('php-cli', 'libphp-phpmailer');

async function whyNot(...packages: string[]): Promise<string | undefined> {
  const why = notRun ?? (await ensurePackages(packages).catch((error: Error) => error.message.split('\n')[0]));
  if (why !== undefined) process.stderr.write(`real/client-settings.test.ts leaves ${packages.join(', ')} out: ${why}\n`);
  return why;
}

const shown = (id: string, settings: AppSettings): string =>
  APPLICATIONS.find((application) => application.id === id)?.render(settings) ?? '';

describe.skipIf(notRun !== undefined)(`settings for programs of Debian${whyNotRun}`, () => {
  let folder: WorkFolder;
  let caFile: string;
  let files: { readonly cert: string; readonly key: string };
  let relay: RelayOnSandbox | undefined;
  let client: NullClient | undefined;

  beforeAll(() => {
    folder = createWorkFolder();
    const authority = createTestAuthority();
    const { certPem, keyPem } = authority.issue({ hosts: ['localhost'] });
    caFile = folder.write('ca.pem', authority.caPem);
    files = { cert: folder.write('cert.pem', certPem), key: folder.write('key.pem', keyPem) };
  });
  afterEach(async () => {
    await client?.daemon.stop();
    await relay?.close();
    client = undefined;
    relay = undefined;
  });
  afterAll(() => folder.remove());

  async function start(tls: (typeof TLS)[number]): Promise<{ here: RelayOnSandbox; settings: AppSettings }> {
    relay = await startRelayOnSandbox({
      listener: tls === 'off' ? {} : { tls, ...files },
      clients: [
        { name: 'made', username: 'made', password: LOGIN.password, account: 'billing' },
        { name: 'known', networks: ['127.0.0.1/32'], account: 'billing' },
      ],
    });
    const settings = { host: 'localhost', port: String(relay.port), tls, from: MAILBOX, ...LOGIN, username: 'made' };
    return { here: relay, settings };
  }

  describe.each(TLS)('with TLS %s', (tls) => {
    it.each(['made', 'known'])('Postfix sends as the mailbox, known as %s', async (name) => {
      const { here, settings } = await start(tls);
      const text = shown('postfix', name === 'made' ? settings : { ...settings, username: undefined });
      client = await startNullClient(folder, `${tls}-${name}`, text, caFile);
      await client.sendmail(CONTENT, 'someone@example.com');
      const log = (): string => client?.log() ?? '';
      const isRelayed = await eventually(() => here.log.of('message-relayed').length > 0, 15_000);
      expect(isRelayed, log()).toBe(true);
      expect(here.log.of('message-relayed')).toMatchObject([{ client: name }]);
      const [received] = here.sandbox.messages.list();
      expect(received).toMatchObject({ reversePath: MAILBOX, forwardPaths: [{ address: 'someone@example.com' }] });
      await expect.poll(() => log(), { timeout: 20_000 }).toMatch(/relay=localhost\[127\.0\.0\.1\].* status=sent/);
    });

    it.skipIf(noMsmtp !== undefined)('msmtp sends, by password and by address', async () => {
      const { here, settings } = await start(tls);
      for (const [index, username] of [settings.username, undefined].entries()) {
        const text = `${shown('msmtp', { ...settings, username })}\n${tls === 'off' ? '' : `tls_trust_file ${caFile}\n`}`;
        const sending = promisify(execFile)('msmtp', ['-C', folder.write(`msmtprc-${tls}-${index}`, text, 0o600), 'someone@example.com']);
        sending.child.stdin?.end(`From: ${MAILBOX}\n${CONTENT}`);
        await sending;
        expect(here.log.of('message-relayed').at(-1)).toMatchObject({ client: ['made', 'known'][index] });
      }
    });

    it.skipIf(noPhp !== undefined)('PHPMailer sends, by password and by address', async () => {
      const { here, settings } = await start(tls);
      for (const [index, username] of [settings.username, undefined].entries()) {
        const text = `<?php require 'libphp-phpmailer/autoload.php';\n${shown('php', { ...settings, username })}`;
        const script = folder.write(`${tls}-${index}.php`, text, 0o600);
        await promisify(execFile)('php', ['-d', 'include_path=/usr/share/php', '-d', `openssl.cafile=${caFile}`, script]);
        expect(here.log.of('message-relayed').at(-1)).toMatchObject({ client: ['made', 'known'][index], reversePath: MAILBOX });
      }
      expect(here.sandbox.messages.list().map(({ subject }) => subject)).toEqual(['Subject', 'Subject']);
    });
  });
});
