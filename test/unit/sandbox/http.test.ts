import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { defaultFaults, setFaults } from '../../../src/sandbox/faults.ts';
import { openSandbox, type TestSandbox, Wire, xoauth2 } from './wire.ts';

let box: TestSandbox;
beforeAll(async () => {
  box = await openSandbox();
});
afterEach(() => {
  setFaults(box.sandbox.faults, defaultFaults());
  box.sandbox.messages.clear();
});
afterAll(() => box.sandbox.close());

const at = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`${box.sandbox.httpUrl}${path}`, init);

async function submit(content: string | Buffer): Promise<string> {
  const wire = await Wire.signedIn(box.sandbox);
  const answer = await wire.submit(content.toString('latin1'));
  wire.close();
  expect(answer).toMatch(/^250/);
  return box.sandbox.messages.list().at(-1)?.id ?? '';
}

/** The status of a request with exactly these header fields. */
function statusWith(headers: Record<string, string>, method = 'GET', path = '/stats'): Promise<number> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(box.sandbox.httpUrl);
    request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe('messages', () => {
  it('are listed, shown raw octet for octet, and deleted', async () => {
    const content = 'From: relay@sandbox.test\r\nSubject: one\r\n\r\n\u00e4\u0000<b>\r\n';
    const id = await submit(content);
    const { messages } = (await (await at('/messages')).json()) as { messages: Record<string, unknown>[] };
    expect(messages).toMatchObject([
      {
        id,
        receivedAt: new Date(box.clock.now()).toISOString(),
        user: 'relay@sandbox.test',
        reversePath: 'relay@sandbox.test',
        forwardPaths: [{ address: 'you@example.com', parameters: '' }],
        subject: 'one',
        hasContent: true,
      },
    ]);
    const raw = await at(`/messages/${encodeURIComponent(id)}/raw`);
    expect(raw.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(raw.headers.get('x-content-type-options')).toBe('nosniff');
    expect(raw.headers.get('content-security-policy')).toContain('sandbox');
    expect(Buffer.from(await raw.arrayBuffer())).toEqual(box.sandbox.messages.content(id));
    expect((await at('/messages', { method: 'DELETE' })).status).toBe(204);
    expect(await (await at('/messages')).json()).toEqual({ messages: [] });
    expect((await at(`/messages/${encodeURIComponent(id)}/raw`)).status).toBe(404);
  });

  it('are shown on a page that hostile subjects cannot break out of', async () => {
    await submit(
      'From: "<img src=x onerror=alert(1)>" <relay@sandbox.test>\r\nSubject: </td><script>alert(1)</script>\u202egnp.exe\r\nTo: =?utf-8?B?PGI+?=\r\n\r\nx\r\n',
    );
    const response = await at('/');
    const text = await response.text();
    expect(text).toContain('&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;');
    expect(text).toContain('&lt;b&gt;');
    expect(text).toContain('relay@sandbox.test (XOAUTH2)');
    expect(text).not.toMatch(/<script|<img|<b>|\u202e/);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'$/);
  });

  it('have a page before the first one', async () => {
    expect(await (await at('/')).text()).toContain('No message has arrived yet');
  });
});

describe('switches', () => {
  it('are read, replaced with PUT, changed with PATCH and reset with DELETE', async () => {
    expect(await (await at('/faults')).json()).toEqual(defaultFaults());
    await at('/faults', { method: 'PUT', body: '{"token":{"reuseDetection":true}}' });
    const patched = await at('/faults', { method: 'PATCH', body: '{"submission":{"offersXoauth2":false}}' });
    expect(patched.status).toBe(200);
    expect(box.sandbox.faults.token.reuseDetection).toBe(true);
    expect(box.sandbox.faults.submission.offersXoauth2).toBe(false);
    await at('/faults', { method: 'PUT', body: '{"submission":{"isMailboxFull":true}}' });
    expect(box.sandbox.faults.submission).toMatchObject({ isMailboxFull: true, offersXoauth2: true });
    expect(box.sandbox.faults.token.reuseDetection).toBe(false);
    expect((await at('/faults', { method: 'DELETE' })).status).toBe(204);
    expect(box.sandbox.faults).toEqual(defaultFaults());
  });

  it('that are wrong change nothing and name the switch', async () => {
    const response = await at('/faults', { method: 'PUT', body: '{"submission":{"isMailboxFull":true,"nonsense":1}}' });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('faults.submission.nonsense is not a switch');
    expect((await at('/faults', { method: 'PUT', body: '{' })).status).toBe(400);
    expect(box.sandbox.faults).toEqual(defaultFaults());
  });
});

describe('another process', () => {
  it('finds everything it needs, mints tokens and revokes them', async () => {
    const about = (await (await at('/about')).json()) as Record<string, unknown>;
    const { sandbox } = box;
    expect(about).toEqual({
      httpUrl: sandbox.httpUrl,
      authorizeUrl: sandbox.authorizeUrl,
      tokenUrl: sandbox.tokenUrl,
      deviceUrl: sandbox.deviceUrl,
      smtp: sandbox.smtp,
      imap: sandbox.imap,
      pop3: sandbox.pop3,
      caPem: sandbox.caPem,
      tenant: 'sandbox.test',
      tenantId: sandbox.tenantId,
      clientId: sandbox.clientId,
      clientSecret: sandbox.clientSecret,
      publicClientId: sandbox.publicClientId,
      mailboxes: sandbox.mailboxes,
      googleTokenUrl: sandbox.googleTokenUrl,
      identityUrl: sandbox.identityUrl,
    });
    const mint = (path: string, body = '{"mailbox":"relay@sandbox.test"}') => at(path, { method: 'POST', body });
    expect(await (await mint('/refresh-tokens')).json()).toEqual({ refreshToken: expect.stringMatching(/^1\.sandbox\./) });
    const { accessToken } = (await (await mint('/access-tokens')).json()) as { accessToken: string };
    const wire = await Wire.secured(sandbox);
    expect((await at('/access-tokens', { method: 'DELETE' })).status).toBe(204);
    expect(await wire.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', accessToken)}`)).toMatch(/^535/);
    wire.close();
    expect((await at('/refresh-tokens', { method: 'DELETE' })).status).toBe(204);
    expect((await mint('/refresh-tokens', '{"mailbox":"no address"}')).status).toBe(400);
    expect((await mint('/refresh-tokens', '[]')).status).toBe(400);
  });

  it('reads the counters', async () => {
    expect(await (await at('/stats')).json()).toEqual(JSON.parse(JSON.stringify(box.sandbox.statistics)));
  });
});

describe('the HTTP server', () => {
  it.each([
    ['localhost:8026', 200],
    ['127.0.0.1', 200],
    ['[::1]:1', 200],
    ['LOCALHOST', 200],
    ['evil.test', 403],
    ['127.0.0.1.evil.test:8026', 403],
    ['localhost.evil.test', 403],
    ['10.0.0.1', 403],
  ])('with Host %s answers %d', async (host, status) => {
    expect(await statusWith({ host })).toBe(status);
  });

  it('refuses pages of other origins', async () => {
    expect(await statusWith({ host: 'localhost', origin: 'https://evil.test' }, 'DELETE', '/messages')).toBe(403);
    expect(await statusWith({ host: 'localhost', origin: 'null' }, 'DELETE', '/messages')).toBe(403);
    expect(await statusWith({ host: 'localhost', origin: 'http://localhost:8026' }, 'DELETE', '/messages')).toBe(204);
  });

  it('answers 404, 405, 413, 400 and HEAD', async () => {
    expect((await at('/nothing')).status).toBe(404);
    const wrong = await at('/faults', { method: 'POST' });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get('allow')).toBe('GET, PUT, PATCH, DELETE');
    expect((await at('/faults', { method: 'PUT', body: 'x'.repeat(300_000) })).status).toBe(413);
    expect((await at('/messages/%ff/raw')).status).toBe(400);
    const head = await at('/stats', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe('');
  });
});
