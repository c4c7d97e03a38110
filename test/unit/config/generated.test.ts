/** Files made by `npm run generate` are what the source says today. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeConfig, editorSchema, type JsonNode } from '../../../src/config/json-schema.ts';
import { renderAll } from '../../../src/config/render-docs.ts';
import { SECRET_KEYS } from '../../../src/config/schema.ts';
import { PROBLEMS } from '../../../src/core/problem.ts';

const projectRoot = join(import.meta.dirname, '../../..');

/** Every key of the schema with its path. */
function keysOf(node: JsonNode, path = ''): { readonly path: string; readonly key: string; readonly node: JsonNode }[] {
  const inner = [node.items, node.additionalProperties === false ? undefined : node.additionalProperties, ...(node.oneOf ?? [])];
  return [
    ...Object.entries(node.properties ?? {}).flatMap(([key, part]) => [
      { path: `${path}.${key}`, key, node: part },
      ...keysOf(part, `${path}.${key}`),
    ]),
    ...inner.flatMap((part) => (part === undefined ? [] : keysOf(part, `${path}[]`))),
  ];
}

describe('generated files', () => {
  it.each(Object.entries(renderAll()))('%s is up to date (npm run generate)', (path, content) => {
    expect(readFileSync(join(projectRoot, path), 'utf8')).toBe(content);
  });

  it('name every problem', () => {
    const errors = renderAll()['docs/errors.md'] ?? '';
    for (const [code, { remedy }] of Object.entries(PROBLEMS)) {
      expect(errors).toContain(`## ${code}\n`);
      expect(errors).toContain(remedy);
    }
  });
});

describe('the schema', () => {
  const keys = keysOf(describeConfig());

  it('explains every key', () => {
    expect(keys.filter(({ node }) => node.description === undefined || node.description === '').map(({ path }) => path)).toEqual([]);
    expect(keys.length).toBeGreaterThan(100);
  });

  it('marks secrets, and the loader knows the same ones', () => {
    const secrets = new Set(keys.filter(({ node }) => node.writeOnly === true).map(({ key }) => key));
    expect(secrets).toEqual(SECRET_KEYS);
    expect(keys.filter(({ key, node }) => SECRET_KEYS.has(key) && node.writeOnly !== true).map(({ path }) => path)).toEqual([]);
  });

  it('stands in the documentation with every key', () => {
    const text = renderAll()['docs/config.md'] ?? '';
    for (const { key } of keys) expect(text).toMatch(new RegExp(`\`${key}\`|\\.${key}\\b|grant: |## .*${key}`));
  });

  it('lets an editor accept a reference wherever a value is narrow', () => {
    const port = editorSchema().properties?.['listeners']?.properties?.['smtp']?.items?.properties?.['port'];
    expect(port).toMatchObject({
      default: 2525,
      anyOf: [{ type: 'integer', maximum: 65_535 }, { pattern: expect.stringContaining('env|file') }],
    });
  });
});
