/**
 * HTML that cannot be broken out of: what is put into a template is escaped unless it is HTML made the same way.
 *
 * Pure. Pages have no scripts and one fixed style sheet, allowed by its digest.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { HttpAnswer } from './answer.ts';

/** A piece of HTML made by {@link html}. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

/** Control characters and marks that turn the direction of writing are shown as U+FFFD: they could make a text read as another. */
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function escapeHtml(text: string): string {
  return text.replace(INVISIBLE, '\ufffd').replace(/[&<>"']/g, (character) => ENTITIES.get(character) ?? '');
}

type Part = string | number | Html | readonly Html[];

/** Tag of a template: parts that are not {@link Html} are escaped. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.map((text, index) => text + render(parts[index])).join(''));
}

function render(part: Part | undefined): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  return part.map(({ text }) => text).join('');
}

const STYLE = [
  'body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}',
  'table{border-collapse:collapse;width:100%}',
  'th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid #ccc;overflow-wrap:anywhere}',
  'label{display:block;margin:.5rem 0}',
  'button,input{font:inherit}',
  'button{padding:.4rem 1rem;margin:1rem 1rem 0 0}',
].join('');

const STYLE_DIGEST = createHash('sha256').update(STYLE).digest('base64');

/** How a page behaves. */
export interface PageOptions {
  readonly status?: number;
  /** Where its forms may lead, as source expressions of CSP. Browsers apply it to redirects after a form too. */
  readonly formTargets?: readonly string[];
  /** Load the page again after so many seconds. */
  readonly refreshSeconds?: number;
}

export function page(title: string, body: Html, { status = 200, formTargets = [], refreshSeconds }: PageOptions = {}): HttpAnswer {
  const refresh = refreshSeconds === undefined ? html`` : html`<meta http-equiv="refresh" content="${refreshSeconds}">`;
  const document = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${refresh}<title>${title}</title>
<style>${new Html(STYLE)}</style></head>
<body><h1>${title}</h1>
${body}
</body></html>
`;
  const forms = formTargets.length === 0 ? "'none'" : formTargets.join(' ');
  const policy = `default-src 'none'; style-src 'sha256-${STYLE_DIGEST}'; base-uri 'none'; frame-ancestors 'none'; form-action ${forms}`;
  return {
    kind: 'answer',
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy },
    body: document.text,
  };
}
