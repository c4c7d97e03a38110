/**
 * What OpenSSL writes of a TLS session, without the certificate of the server.
 *
 * Each handshake that resumes a session reads it from these octets, twice in Node, and OpenSSL 3 needs some 0.2 ms each time for the public key of a
 * certificate that nobody looks at: in TLS 1.3 a server proves by the session's secret that it is the one whose certificate was verified, and Node takes a
 * resumed session without a certificate for verified (`VerifyPeerCertificate` in src/crypto/crypto_common.cc). So only sessions of servers that have been
 * verified may be kept like this. Resumed connections have no `getPeerCertificate()`.
 *
 * In TLS 1.2 Node wants the certificate. What is not of the form below stays as it is; so do all sessions of Node 22.23 and 24.21, which put a header with
 * the name of the server before OpenSSL's octets: they are resumed whole.
 *
 * Sources: OpenSSL's ssl/ssl_asn1.c (`SSL_SESSION_ASN1`: a SEQUENCE of version, protocol version, cipher suite, session id, master key, and optional fields with
 * explicit tags, of which [3] is the certificate); X.690 §8.1 (tags and lengths).
 *
 * @packageDocumentation
 */

const SEQUENCE = 0x30;
const INTEGER = 0x02;
/** Context-specific, constructed, 3. */
const CERTIFICATE = 0xa3;
/** The content of the second field for TLS 1.3 (RFC 8446 §4.1.2 counts it as 3.4). */
const TLS_1_3 = Buffer.of(0x03, 0x04);

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
}

/** @param session - As of the 'session' event of `tls.TLSSocket`. */
export function withoutCertificate(session: Buffer): Buffer {
  const whole = elementAt(session, 0);
  if (whole?.tag !== SEQUENCE || whole.end !== session.length) return session;
  const fields: Element[] = [];
  for (let at = whole.contentStart; at < session.length; ) {
    const field = elementAt(session, at);
    if (field === undefined) return session;
    fields.push(field);
    at = field.end;
  }
  const [version, protocol] = fields;
  const isTls13 = protocol?.tag === INTEGER && TLS_1_3.equals(session.subarray(protocol.contentStart, protocol.end));
  if (version?.tag !== INTEGER || !isTls13 || !fields.some(({ tag }) => tag === CERTIFICATE)) return session;
  const kept = fields.filter(({ tag }) => tag !== CERTIFICATE).map(({ start, end }) => session.subarray(start, end));
  const length = kept.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.of(SEQUENCE), lengthOctets(length), ...kept]);
}

/** Undefined where there is none that ends within the octets. */
function elementAt(octets: Buffer, start: number): Element | undefined {
  const [tag, first] = octets.subarray(start, start + 2);
  if (tag === undefined || first === undefined) return undefined;
  const count = first < 0x80 ? 0 : first & 0x7f;
  const contentStart = start + 2 + count;
  // A session has far fewer than 2^24 octets, and a length of unknown size (0x80) is not DER.
  if (first === 0x80 || count > 3 || contentStart > octets.length) return undefined;
  const length = count === 0 ? first : octets.readUIntBE(start + 2, count);
  const end = contentStart + length;
  return end > octets.length ? undefined : { tag, start, contentStart, end };
}

/** X.690 §10.1: as short as may be. */
function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  return length < 0x100
    ? Buffer.of(0x81, length)
    : length < 0x10000
      ? Buffer.of(0x82, length >> 8, length & 0xff)
      : Buffer.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}
