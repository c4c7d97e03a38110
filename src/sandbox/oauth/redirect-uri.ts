/**
 * Which redirect URIs an application may use.
 *
 * Pure. As at Entra: a registered URI must match to the letter, except that the port of a loopback one is ignored (RFC 8252 §7.3). Path and
 * trailing slash count. `[::1]` is never accepted; `127.0.0.1` only where it is registered itself.
 *
 * @packageDocumentation
 */
export function isRegisteredRedirect(redirectUri: string, registered: readonly string[]): boolean {
  if (registered.includes(redirectUri)) return true;
  const wanted = loopback(redirectUri);
  return wanted !== undefined && registered.some((candidate) => loopback(candidate) === wanted);
}

/** The URI without its port, where it is one of a loopback host. */
function loopback(uri: string): string | undefined {
  const match = /^http:\/\/(localhost|127\.0\.0\.1)(?::\d{1,5})?(\/[^?#]*)?$/i.exec(uri);
  return match === null ? undefined : `http://${(match[1] ?? '').toLowerCase()}${match[2] ?? ''}`;
}
