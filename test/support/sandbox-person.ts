/**
 * A person at a browser, as far as the sandbox's sign-in pages need one.
 *
 * @packageDocumentation
 */

/** A page as the browser shows it. */
export interface ShownPage {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Sign in on the page at `url`. @returns Where the browser is sent. */
export async function decide(url: string, mailbox: string, action: 'accept' | 'refuse' = 'accept'): Promise<URL> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams({ action, mailbox }), redirect: 'manual' });
  const target = response.headers.get('location');
  if (target === null) throw new Error(`no redirect: ${response.status} ${await response.text()}`);
  return new URL(target);
}

/** Follow the redirect. `localhost` may be ::1 first; the listener is on 127.0.0.1. */
export async function visit(url: URL, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<ShownPage> {
  const response = await fetch(url, { method, headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Type the code of a device on the sandbox's page. */
export async function enterDeviceCode(verificationUri: string, userCode: string, mailbox: string, action = 'accept'): Promise<void> {
  const body = new URLSearchParams({ user_code: userCode, action, mailbox });
  const response = await fetch(verificationUri, { method: 'POST', body });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
}
