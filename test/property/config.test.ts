/** Whatever a file holds, loading ends with a configuration or with problems: it never throws, and never shows a secret. */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { describeConfig, type JsonNode } from '../../src/config/json-schema.ts';
import { ConfigFolder } from '../support/config-folder.ts';

const folder = new ConfigFolder();
afterAll(() => folder.remove());

/** Words of the schema, so that junk reaches its depths. */
function wordsOf(node: JsonNode): string[] {
  const inner = [node.items, node.additionalProperties === false ? undefined : node.additionalProperties, ...(node.oneOf ?? [])];
  const own = [...Object.entries(node.properties ?? {}), ...inner.map((part) => ['', part] as const)];
  return own.flatMap(([key, part]) =>
    part === undefined ? [] : [key, ...(part.enum ?? []).map(String), part.const ?? '', ...wordsOf(part)],
  );
}

const YAML_SIGNS = Array.from('{}[]:-#&*!|>\'"%@` \n\ta0~?,$<');
const WORDS = [...new Set(wordsOf(describeConfig()))].filter((word) => word !== '');
const KEYS = Object.keys(describeConfig().properties ?? {});

const word = fc.constantFrom(
  ...WORDS,
  'billing@contoso.com',
  '127.0.0.1',
  '10.0.0.0/8',
  '15s',
  '35MB',
  '${env:X}',
  '${file:x}',
  '${',
  '<<',
  '__proto__',
);
const leaf = fc.oneof(
  word,
  fc.integer({ min: -5, max: 70_000 }),
  fc.boolean(),
  fc.constant(null),
  fc.string({ maxLength: 12 }),
  fc.double(),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.oneof({ weight: 4, arbitrary: word }, { weight: 1, arbitrary: fc.string({ maxLength: 8 }) }), tie('value'), {
      maxKeys: 5,
    }),
  ),
}));
const config = fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 6 });

async function outcomeOf(text: string): Promise<'config' | 'problems'> {
  const result = await folder.load(text, { X: 'from-env' });
  if (result.ok) return 'config';
  expect(result.problems.length).toBeGreaterThan(0);
  for (const { message, line } of result.problems) {
    expect(message).not.toBe('');
    expect(line ?? 1).toBeGreaterThan(0);
  }
  return 'problems';
}

describe('loading', () => {
  it('ends for any text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom(...YAML_SIGNS), maxLength: 60 }), async (text) => {
        expect(['config', 'problems']).toContain(await outcomeOf(text));
      }),
      { numRuns: 400 },
    );
  });

  it('ends for any values in any place', async () => {
    await fc.assert(
      fc.asyncProperty(config, async (raw) => {
        expect(['config', 'problems']).toContain(await outcomeOf(stringify(raw)));
      }),
      { numRuns: 400 },
    );
  });

  it('shows no secret, whatever else is wrong', async () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9~._-]{12,24}$/);
    await fc.assert(
      fc.asyncProperty(config, secret, fc.constantFrom(...WORDS), async (raw, canary, key) => {
        folder.write('canary', canary);
        const entry = { [key]: '${file:canary}', name: 'a', password: canary, account: '${file:canary}', networks: ['${file:canary}'] };
        const auth = { grant: 'refresh_token', [key]: '${file:canary}', clientSecret: canary, refreshToken: `${canary} ` };
        const accounts = [{ name: 'a', mailbox: '${file:canary}', provider: '${file:canary}', auth }];
        const result = await folder.load(stringify({ ...raw, clients: [entry], accounts }));
        expect(result.ok).toBe(false);
        expect(JSON.stringify(result)).not.toContain(canary);
      }),
      { numRuns: 200 },
    );
  });
});
