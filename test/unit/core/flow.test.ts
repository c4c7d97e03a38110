import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const flow = readFileSync(`${root}docs/flow.md`, 'utf8');
const named = [...new Set([...flow.matchAll(/`((?:src|test|config)\/[a-z0-9/.-]+)`/g)].map(([, path]) => path ?? ''))];

describe('docs/flow.md', () => {
  it('names the files of the way', () => {
    expect(named.length).toBeGreaterThan(20);
  });

  it.each(named)('%s exists', (path) => {
    expect(existsSync(root + path)).toBe(true);
  });
});
