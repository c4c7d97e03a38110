/** Adding to a configuration: what is there stays octet for octet, and what comes out is what was meant. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { addItem } from '../../../src/config/edit.ts';
import { diffLines } from '../../../src/config/line-diff.ts';

const ITEM = { name: 'erp', username: 'erp', networks: ['10.0.0.0/8'], auth: { secret: '${file:/x}' } };

/** The lines of `before`, in order, are all in `after`. */
function keepsLines(before: string, after: string): boolean {
  const left = after.split('\n');
  return before.split('\n').every((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(0, at + 1);
    return at >= 0;
  });
}

describe('addItem', () => {
  it.each([
    ['an empty file', '', []],
    ['only comments', '# hello\n', []],
    ['another section', 'log: { level: info }\n', []],
    ['no line end', 'log: { level: info }', []],
    ['nothing below the key', 'clients:\nlog: { level: info }\n', []],
    ['comments below the key', 'clients: # who\n#  - name: example\n\nlog: { level: info }\n', []],
    ['null', 'clients: ~\n', []],
    ['an empty list', 'clients: []\n', []],
    [
      'a list',
      'clients:\n  - name: a\n    networks: [10.0.0.0/8]   # the office\n# behind\nlog: {}\n',
      [{ name: 'a', networks: ['10.0.0.0/8'] }],
    ],
    ['a list that is not indented', 'clients:\n- name: a\n- { name: b }\nlog: {}\n', [{ name: 'a' }, { name: 'b' }]],
    ['a list at the end without a line end', 'clients:\n    - name: a\n    - { name: b }', [{ name: 'a' }, { name: 'b' }]],
    ['a text in a block', 'clients:\n  - name: a\n    note: |\n      two\n      lines\nlog: {}\n', [{ name: 'a', note: 'two\nlines\n' }]],
  ])('into %s', (_, text, there) => {
    const after = addItem(text, 'clients', ITEM) ?? '';
    const { clients, ...rest } = parse(after) as Record<string, unknown>;
    expect(clients).toEqual([...there, ITEM]);
    const { clients: __, ...before } = (parse(text) ?? {}) as Record<string, unknown>;
    expect(rest).toEqual(before);
    if (!/~|\[\]\n/.test(text)) expect(keepsLines(text.replace(/\n$/, ''), after)).toBe(true);
  });

  it('keeps every line of the configuration that comes along', () => {
    const text = readFileSync(new URL('../../../config/postern.yaml', import.meta.url), 'utf8');
    const after = addItem(text, 'accounts', ITEM) ?? '';
    expect(keepsLines(text, after)).toBe(true);
    expect((parse(after) as { accounts: unknown[] }).accounts).toEqual([ITEM]);
    expect(diffLines(text, after).some(({ kind }) => kind === 'removed')).toBe(false);
  });

  it.each([
    ['no YAML', 'a: [\n'],
    ['a list in flow style', 'clients: [{ name: a }]\n'],
    ['a map in flow style', '{ clients: [] }\n'],
    ['something else than a list', 'clients: yes\n'],
    ['no map', '- a\n'],
  ])('leaves %s to people', (_, text) => {
    expect(addItem(text, 'clients', ITEM)).toBeUndefined();
  });

  it('keeps blanks that only Unicode knows', () => {
    const item = { name: 'x', note: '\u3000', other: 'a\u00a0' };
    expect(parse(addItem('clients:\n', 'clients', item) ?? '')).toEqual({ clients: [item] });
  });

  it('adds whatever the strings are, to whatever is there', () => {
    const name = fc.string({ unit: 'grapheme' });
    const items = fc.array(fc.record({ name, senders: fc.array(name) }), { maxLength: 4 });
    fc.assert(
      fc.property(items, fc.record({ name, note: name }), fc.constantFrom(0, 2, 4), (there, item, indent) => {
        const list = stringify(there, { lineWidth: 0 })
          .replace(/\n$/, '')
          .split('\n')
          .map((line) => ' '.repeat(indent) + line);
        const text = `log: {}\nclients:${there.length === 0 ? ' []' : `\n${list.join('\n')}`}\n# end\ndelivery: {}\n`;
        const after = addItem(text, 'clients', item);
        expect(parse(after ?? '')).toEqual({ log: {}, clients: [...there, item], delivery: {} });
      }),
      { numRuns: 500 },
    );
  });
});

describe('diffLines', () => {
  it('shows what was added and a little around it', () => {
    expect(diffLines('a\nb\nc\nd\ne\n', 'a\nb\nc\nd\nx\ne\n')).toEqual([
      { kind: 'same', text: 'b' },
      { kind: 'same', text: 'c' },
      { kind: 'same', text: 'd' },
      { kind: 'added', text: 'x' },
      { kind: 'same', text: 'e' },
      { kind: 'same', text: '' },
    ]);
  });
});
