/**
 * What Postern relies on in OpenSSL and Node where it keeps TLS sessions without certificates (src/platform/tls-session-form.ts).
 *
 * Should it fail with another Node: see how `VerifyPeerCertificate` decides there about a session without a certificate, and what OpenSSL has made of its form.
 */
import * as tls from 'node:tls';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withoutCertificate } from '../../src/platform/tls-session-form.ts';
import { createTestAuthority } from '../support/test-ca.ts';

const authority = createTestAuthority();
const { certPem: cert, keyPem: key } = authority.issue({ hosts: ['localhost'] });
const secureContext = tls.createSecureContext({ ca: authority.caPem });
const derOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----.*?-----|\s/g, ''), 'base64');

interface Handshake {
  readonly isReused: boolean;
  readonly isAuthorized: boolean;
  readonly session: Buffer;
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a session of %s', (version) => {
  const server = tls.createServer({ cert, key, minVersion: version, maxVersion: version }, (socket) => socket.end('hello'));

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  async function shake(session?: Buffer): Promise<Handshake> {
    const { port } = server.address() as AddressInfo;
    const socket = tls.connect({
      port,
      host: 'localhost',
      servername: 'localhost',
      secureContext,
      ...(session === undefined ? {} : { session }),
    });
    const sessions: Buffer[] = [];
    socket.on('session', (each: Buffer) => sessions.push(each));
    await once(socket, 'secureConnect');
    const facts = { isReused: socket.isSessionReused(), isAuthorized: socket.authorized };
    const early = socket.getSession();
    for await (const _ of socket); // Tickets of TLS 1.3 come with what follows.
    return { ...facts, session: sessions.at(-1) ?? early ?? Buffer.alloc(0) };
  }

  it('has the certificate of the server, unless it is taken out', async () => {
    const { session } = await shake();
    expect(session.includes(derOf(cert))).toBe(true);
    // Newer versions of Node have a header of their own before the SEQUENCE, and their sessions stay whole.
    const mayBeTakenOut = version === 'TLSv1.3' && session[0] === 0x30;
    expect(withoutCertificate(session).includes(derOf(cert))).toBe(!mayBeTakenOut);
    expect(session[0] === 0x30 || !process.version.startsWith('v20.')).toBe(true);
  });

  it('is resumed as it is kept, the server taken for verified, time and again', async () => {
    let handshake = await shake();
    expect(handshake).toMatchObject({ isReused: false, isAuthorized: true });
    for (let count = 0; count < 3; count += 1) {
      handshake = await shake(withoutCertificate(handshake.session));
      expect(handshake).toMatchObject({ isReused: true, isAuthorized: true });
    }
  });

  it('needs the verification of its server', async () => {
    const { session } = await shake();
    const other = tls.createServer({ cert, key, minVersion: version, maxVersion: version }, (socket) => socket.end('hello'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    // Another server does not know the session, so it shows its certificate; nobody here vouches for that.
    const { port } = other.address() as AddressInfo;
    const socket = tls.connect({ port, host: 'localhost', servername: 'localhost', session: withoutCertificate(session) });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    other.close();
  });
});

describe('what is not a session of TLS 1.3', () => {
  const element = (tag: number, ...content: number[]): number[] => [tag, content.length, ...content];
  const fields = [...element(0x02, 1), ...element(0x02, 3, 4), ...element(0x04, 0x13, 0x02)];

  it('stays as it is', () => {
    const certificate = element(0xa3, 0x30, 0);
    const others: number[][] = [
      [],
      [0x30],
      [0x30, 0x80],
      [0x30, 0x84, 0, 0, 0, 0],
      element(0x31, ...fields, ...certificate), // no SEQUENCE
      [...element(0x30, ...fields, ...certificate), 0], // something behind it
      element(0x30, ...fields, 0xa3, 5, 1), // a field longer than what there is
      element(0x30, ...fields), // no certificate
      element(0x30, ...element(0x02, 1), ...element(0x02, 3, 3), ...certificate), // TLS 1.2
      element(0x30, ...element(0x04, 1), ...element(0x02, 3, 4), ...certificate),
    ];
    for (const octets of others) expect(withoutCertificate(Buffer.from(octets))).toEqual(Buffer.from(octets));
  });

  it.each([0, 100, 300, 70_000])('keeps the other fields in their order, with %i octets among them', (size) => {
    const long =
      size < 0x80 ? [size] : size < 0x10000 ? [0x82, size >> 8, size & 0xff] : [0x83, size >> 16, (size >> 8) & 0xff, size & 0xff];
    const ticket = [0xaa, ...long, ...Array.from({ length: size }, () => 7)];
    const wrap = (...content: number[]): Buffer => {
      const { length } = content;
      const head =
        length < 0x80
          ? [length]
          : length < 0x100
            ? [0x81, length]
            : length < 0x10000
              ? [0x82, length >> 8, length & 0xff]
              : [0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
      return Buffer.from([0x30, ...head, ...content]);
    };
    const session = wrap(...fields, ...element(0xa3, 0x30, 0), ...ticket);
    expect(withoutCertificate(session).equals(wrap(...fields, ...ticket))).toBe(true);
  });
});
