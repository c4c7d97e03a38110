/** Settings of applications: the same on the page and in docs/clients, and with nothing in them that somebody could slip in. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { renderClientDocs } from '../../../scripts/client-docs.ts';
import type { AppSettings } from '../../../src/page/snippets/application.ts';
import { APPLICATIONS } from '../../../src/page/snippets/applications.ts';

const projectRoot = join(import.meta.dirname, '../../..');
const SETTINGS: AppSettings = { host: 'relay.test', port: '2525', tls: 'off', from: 'a@x.test', username: 'erp', password: 'p"w\'\\d' };

describe('docs/clients', () => {
  it.each(Object.entries(renderClientDocs()))('%s is up to date (npm run generate)', (path, content) => {
    expect(readFileSync(join(projectRoot, path), 'utf8')).toBe(content);
  });

  it('has a page for each application and no other', () => {
    const pages = readdirSync(join(projectRoot, 'docs/clients'));
    expect(pages.toSorted()).toEqual(['README.md', ...APPLICATIONS.map(({ id }) => `${id}.md`)].toSorted());
    expect(new Set(APPLICATIONS.map(({ id }) => id)).size).toBe(APPLICATIONS.length);
  });
});

describe.each(APPLICATIONS)('settings for $title', ({ id, render }) => {
  it.each(['off', 'starttls', 'implicit'] as const)('name host and port, with TLS %s', (tls) => {
    if (id === 'dotnet' && tls === 'implicit') return expect(render({ ...SETTINGS, tls })).toContain('use MailKit');
    const text = render({ ...SETTINGS, tls });
    expect(text).toContain('relay.test');
    expect(text).toContain('2525');
    return expect(text).toContain('erp');
  });

  it('say which TLS there is', () => {
    const texts = (['off', 'starttls', 'implicit'] as const).map((tls) => render({ ...SETTINGS, tls }));
    expect(new Set(texts).size).toBe(3);
  });

  it('have neither user nor password where the address is enough', () => {
    const text = render({ ...SETTINGS, username: undefined });
    expect(text).not.toMatch(/erp|p"w|p\\"w|PASSWORD|password_maps|Credentials|Authenticate\(/);
  });
});
