/**
 * What sslscan finds at each listener that speaks TLS: 1.2 and 1.3 alone, unless `minTls` says otherwise.
 *
 * @packageDocumentation
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { ListenerMinTls } from '../../src/core/listener.ts';
import { closeAdminStages, openAdminStage } from '../support/admin-stage.ts';
import { openMailboxStage } from '../support/mailbox-stage.ts';
import { ensurePackages } from '../support/real/packages.ts';
import { runTool } from '../support/real/submit.ts';
import { openSmtpStage, stageCertificate } from '../support/smtp-stage.ts';

const notRun = await ensurePackages(['sslscan']);
if (notRun !== undefined) process.stderr.write(`sslscan is not run: ${notRun}.\n`);

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers) await close();
  await closeAdminStages();
});

async function smtp(tls: 'starttls' | 'implicit', minTls: ListenerMinTls = 'TLSv1.2'): Promise<number> {
  const stage = await openSmtpStage({ settings: { tls, minTls } });
  closers.push(() => stage.close());
  return stage.port;
}

async function mailbox(protocol: 'imap' | 'pop3', tls: 'starttls' | 'implicit', minTls: ListenerMinTls = 'TLSv1.2'): Promise<number> {
  const stage = await openMailboxStage({ protocol, settings: { tls, minTls } });
  closers.push(() => stage.close());
  return stage.port;
}

async function admin(): Promise<number> {
  const { certPem, keyPem } = stageCertificate();
  return (await openAdminStage({ tls: { cert: certPem, key: keyPem } })).port;
}

/** Versions that the server accepts, and the weakest cipher it agreed to, in bits. */
async function scan(port: number, options: readonly string[]): Promise<{ versions: string[]; weakest: number; weak: string[] }> {
  const { stdout, stderr } = await runTool('/usr/bin/sslscan', [
    '--no-colour',
    '--no-heartbleed',
    '--xml=-',
    ...options,
    `127.0.0.1:${port}`,
  ]);
  const versions = [...stdout.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="1" \/>/g)].map(
    ([, type, version]) => `${type} ${version}`,
  );
  const ciphers = [...stdout.matchAll(/<cipher status="\w+" sslversion="\S+" bits="(\d+)" cipher="(\S+)"/g)];
  if (ciphers.length === 0) throw new Error(`sslscan found no cipher: ${stdout}${stderr}`);
  const weak = ciphers.map(([, , name = '']) => name).filter((name) => /NULL|EXP|RC4|DES|MD5|anon|ADH|AECDH/i.test(name));
  return { versions: versions.sort(), weakest: Math.min(...ciphers.map(([, bits]) => Number(bits))), weak };
}

const MODERN = ['tls 1.2', 'tls 1.3'];

describe.skipIf(notRun !== undefined)(`sslscan${notRun === undefined ? '' : ` (not run: ${notRun})`}`, () => {
  it.each([
    ['SMTP, STARTTLS', () => smtp('starttls'), ['--starttls-smtp'], MODERN],
    ['SMTP, implicit', () => smtp('implicit'), [], MODERN],
    ['IMAP, STARTTLS', () => mailbox('imap', 'starttls'), ['--starttls-imap'], MODERN],
    ['IMAP, implicit', () => mailbox('imap', 'implicit'), [], MODERN],
    ['POP3, STARTTLS', () => mailbox('pop3', 'starttls'), ['--starttls-pop3'], MODERN],
    ['POP3, implicit', () => mailbox('pop3', 'implicit'), [], MODERN],
    ['the admin port', admin, [], MODERN],
    ['SMTP with minTls: TLSv1.3', () => smtp('implicit', 'TLSv1.3'), [], ['tls 1.3']],
    ['SMTP with minTls: TLSv1.1, for an old device', () => smtp('implicit', 'TLSv1.1'), [], ['tls 1.1', ...MODERN]],
    ['IMAP with minTls: TLSv1, for an old device', () => mailbox('imap', 'implicit', 'TLSv1'), [], ['tls 1.0', 'tls 1.1', ...MODERN]],
  ] as const)('at %s', { timeout: 60_000 }, async (_where, open, options, expected) => {
    const { versions, weakest, weak } = await scan(await open(), options);
    expect(versions).toEqual(expected);
    expect(weak).toEqual([]);
    expect(weakest).toBeGreaterThanOrEqual(128);
  });
});
