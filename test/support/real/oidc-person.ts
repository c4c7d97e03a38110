/**
 * A person at a browser, as far as oidc-provider's own pages need one: follows redirects, keeps cookies, fills in each form that comes up.
 *
 * @packageDocumentation
 */

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

/** Where it ended: a redirect to another origin, or the last page. */
export type Ending = { readonly kind: 'redirect'; readonly url: URL } | { readonly kind: 'page'; readonly text: string };

const MOST_STEPS = 20;

/** @param answers - For fields of forms, by name; hidden ones are sent as they come. */
export async function browse(start: string, answers: Readonly<Record<string, string>>): Promise<Ending> {
  const origin = new URL(start).origin;
  const cookies: Cookie[] = [];
  let next: { url: URL; body?: URLSearchParams } = { url: new URL(start) };
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const { url, body } = next;
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: cookieHeader(cookies, url) },
      ...(body === undefined ? {} : { method: 'POST', body }),
    });
    keep(cookies, response.headers.getSetCookie(), url);
    const location = response.headers.get('location');
    const text = await response.text();
    if (location !== null) {
      const target = new URL(location, url);
      if (target.origin !== origin) return { kind: 'redirect', url: target };
      next = { url: target };
      continue;
    }
    const form = readForm(text, url, answers);
    if (form === undefined) return { kind: 'page', text };
    next = form;
  }
  throw new Error(`no end after ${MOST_STEPS} pages from ${start}`);
}

function readForm(text: string, base: URL, answers: Readonly<Record<string, string>>): { url: URL; body: URLSearchParams } | undefined {
  const [, action, inner = ''] = /<form[^>]*action="([^"]+)"[^>]*>([\s\S]*?)<\/form>/.exec(text) ?? [];
  if (action === undefined) return undefined;
  const body = new URLSearchParams();
  for (const [tag] of inner.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(tag)?.[1];
    if (name === undefined) continue;
    const value = tag.includes('type="hidden"') ? /value="([^"]*)"/.exec(tag)?.[1] : answers[name];
    if (value === undefined) throw new Error(`nothing to enter as ${name}`);
    body.set(name, value);
  }
  return { url: new URL(action, base), body };
}

function keep(cookies: Cookie[], fields: readonly string[], url: URL): void {
  for (const field of fields) {
    const [pair = '', ...attributes] = field.split(/;\s*/);
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice(5) ?? url.pathname;
    const known = cookies.findIndex((cookie) => cookie.name === name && cookie.path === path);
    if (known !== -1) cookies.splice(known, 1);
    if (value !== '') cookies.push({ name, value, path });
  }
}

const cookieHeader = (cookies: readonly Cookie[], { pathname }: URL): string =>
  cookies
    .filter(({ path }) => pathname.startsWith(path))
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ');
