/**
 * What the browser shows after a sign-in: one heading, one paragraph, no script, no style, nothing loaded.
 *
 * Pure.
 *
 * @packageDocumentation
 */

/** A page. Texts may hold anything: they are escaped. */
export interface CallbackPage {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

/** Nothing may run or load, the address (it holds a code) goes nowhere, and no cache keeps the page. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  connection: 'close',
};

export function renderPage({ title, text }: CallbackPage): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title></head>
<body><h1>${escape(title)}</h1><p>${escape(text)}</p></body></html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** Control characters, and marks that turn the direction of writing or are not seen: they could make a text read as another. */
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function escape(text: string): string {
  return text.replace(INVISIBLE, '\ufffd').replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
