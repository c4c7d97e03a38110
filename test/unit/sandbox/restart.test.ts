import { X509Certificate } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { days, type EpochMs, plus } from '../../../src/core/clock.ts';
import { ProblemError } from '../../../src/core/problem.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { systemRandom } from '../../../src/platform/system-random.ts';
import { loadCertificates } from '../../../src/sandbox/certificates.ts';
import { StateFiles } from '../../../src/sandbox/state-files.ts';
import { refresh } from './oauth-client.ts';
import { openSandbox, Wire, xoauth2 } from './wire.ts';

// Keys take long to make: one folder is filled once and copied.
const filled = mkdtempSync(join(tmpdir(), 'postern-sandbox-'));
let stateDir: string;
beforeAll(async () => {
  const { sandbox } = await openSandbox({ stateDir: filled });
  await sandbox.close();
});
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'postern-sandbox-'));
  cpSync(filled, stateDir, { recursive: true });
});
afterEach(() => rmSync(stateDir, { recursive: true }));
afterAll(() => rmSync(filled, { recursive: true }));

const file = (name: string): string => join(stateDir, 'sandbox', name);
const mode = (name: string): number => statSync(file(name)).mode & 0o777;

describe('a restart', () => {
  it('keeps CA, tenant, credentials and both kinds of token', async () => {
    const { sandbox: first } = await openSandbox({ stateDir });
    const token = first.mint.refreshToken('new@sandbox.test');
    const { json } = await refresh(first, token);
    const rotated = String(json['refresh_token']);
    await first.close();

    const { sandbox: second } = await openSandbox({ stateDir });
    expect(second).toMatchObject({
      caPem: first.caPem,
      tenantId: first.tenantId,
      clientId: first.clientId,
      clientSecret: first.clientSecret,
    });
    const wire = await Wire.secured(second);
    expect(await wire.command(`AUTH XOAUTH2 ${xoauth2('new@sandbox.test', String(json['access_token']))}`)).toMatch(/^235/);
    wire.close();
    expect((await refresh(second, rotated)).status).toBe(200);
    await second.close();

    expect(readFileSync(file('ca.pem'), 'utf8')).toBe(first.caPem);
    expect([mode('ca.pem'), mode('ca-key.pem'), mode('server-key.pem'), mode('tenant.json')]).toEqual([0o644, 0o600, 0o600, 0o600]);
    const kept = readFileSync(file('tenant.json'), 'utf8');
    expect(kept).not.toContain(token);
    expect(kept).not.toContain(rotated);
  });

  it('starts anew, and says so, where the state is damaged', async () => {
    const { sandbox: first } = await openSandbox({ stateDir });
    await first.close();
    writeFileSync(file('tenant.json'), '{"version":1');
    writeFileSync(file('ca.pem'), 'damaged');
    const { sandbox: second, log } = await openSandbox({ stateDir });
    expect(log.of('sandbox-state-unreadable')).toHaveLength(1);
    expect(second.tenantId).not.toBe(first.tenantId);
    const wire = await Wire.secured(second);
    wire.close();
    await second.close();
  });

  it('explains a port that is taken', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', () => resolve()));
    const { port } = blocker.address() as { port: number };
    for (const ports of [
      { http: port, smtp: 0 },
      { http: 0, smtp: port },
    ]) {
      const failure = await openSandbox({ ports, stateDir }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ProblemError);
      expect((failure as ProblemError).problem).toMatchObject({ code: 'SANDBOX_FAILED', cause: expect.stringContaining('EADDRINUSE') });
    }
    await new Promise((resolve) => blocker.close(resolve));
  });
});

describe('close', () => {
  it('ends although sessions are stalled and requests hang', async () => {
    const { sandbox } = await openSandbox({ stateDir });
    sandbox.faults.submission.next.push({ stage: 'ehlo', kind: 'stall' });
    sandbox.faults.token.next.push({ kind: 'hang' });
    const wire = await Wire.open(sandbox.smtp.port);
    await wire.reply();
    wire.write('EHLO client.test\r\n');
    const hanging = fetch(sandbox.tokenUrl, { method: 'POST' }).catch((error: unknown) => error);
    while (sandbox.faults.token.next.length + sandbox.faults.submission.next.length > 0)
      await new Promise((resolve) => setImmediate(resolve));
    await sandbox.close();
    expect(await wire.closed()).toBe('');
    expect(await hanging).toBeInstanceOf(Error);
  });
});

describe('certificates', () => {
  const load = (now: EpochMs) => loadCertificates(new StateFiles(stateDir), now, systemRandom);

  it('are for loopback names and addresses, signed by the CA', async () => {
    const { caPem, server } = await load(systemClock.now());
    const ca = new X509Certificate(caPem);
    const certificate = new X509Certificate(server.cert);
    expect(ca.ca).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('::1')).toBe('::1');
    expect(certificate.checkHost('example.com')).toBeUndefined();
    expect(certificate.infoAccess).toBeUndefined();
    expect(certificate.checkIssued(ca)).toBe(true);
  });

  it('are renewed in their last 30 days: first the server, in the end the CA', async () => {
    const start = systemClock.now();
    const first = await load(start);
    const same = await load(plus(start, days(350)));
    expect(same.server.cert).toBe(first.server.cert);
    const renewed = await load(plus(start, days(365)));
    expect(renewed.server.cert).not.toBe(first.server.cert);
    expect(renewed.caPem).toBe(first.caPem);
    const anew = await load(plus(start, days(3_630)));
    expect(anew.caPem).not.toBe(first.caPem);
    expect(new X509Certificate(anew.server.cert).verify(new X509Certificate(anew.caPem).publicKey)).toBe(true);
  });

  it('do not outlive a CA or key that was swapped', async () => {
    const first = await load(systemClock.now());
    rmSync(file('ca-key.pem'));
    const second = await load(systemClock.now());
    expect(second.caPem).not.toBe(first.caPem);
    expect(new X509Certificate(second.server.cert).verify(new X509Certificate(second.caPem).publicKey)).toBe(true);
  });
});
