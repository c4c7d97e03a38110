/** Adding to a configuration: what is there stays octet for octet, and what comes out is what was meant. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { addItem, editItem, type ItemChange } from '../../../src/config/edit.ts';
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

describe('diffLines of changes in several places', () => {
  it('shows what stays between them as it is', () => {
    expect(diffLines('a\nb\nc\nd\ne\nf\n', 'a\nB\nc\nd\nE\ne2\nf\n').map(({ kind, text }) => `${kind[0]}${text}`)).toEqual([
      'sa',
      'rb',
      'aB',
      'sc',
      'sd',
      're',
      'aE',
      'ae2',
      'sf',
      's',
    ]);
  });

  it('is a way from the one text to the other, whatever they are', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 });
    fc.assert(
      fc.property(text, text, (old, fresh) => {
        // Lines that nothing else has keep what is cut away at the ends out of the way.
        const diff = diffLines(['<', ...old, '>'].join('\n'), ['<', ...fresh, '>'].join('\n'));
        const [removed, added] = (['removed', 'added'] as const).map((kind) => diff.filter((line) => line.kind === kind).length);
        expect(fresh.length - old.length).toBe((added ?? 0) - (removed ?? 0));
        const side = (kind: string) => diff.filter((line) => line.kind === 'same' || line.kind === kind).map((line) => line.text);
        expect(`\n${['<', ...old, '>'].join('\n')}\n`).toContain(`\n${side('removed').join('\n')}\n`);
        expect(`\n${['<', ...fresh, '>'].join('\n')}\n`).toContain(`\n${side('added').join('\n')}\n`);
        if (old.join() === fresh.join()) expect(diff.every(({ kind }) => kind === 'same')).toBe(true);
      }),
    );
  });

  it('gives up on comparing what is too large, and shows all of it', () => {
    const many = (letter: string): string => Array.from({ length: 1_100 }, (_, index) => `${letter}${index}`).join('\n');
    expect(diffLines(many('a'), many('b'))).toHaveLength(2_200);
  });
});

describe('editItem', () => {
  const TEXT = `# above
accounts:
  # the first
  - name: other
    mailbox: other@x.test
  - mailbox: "old@x.test"   # whose?
    name: billing
    auth:
      grant: refresh_token # signs in once
      clientId: 'old id'
      tenant: \${env:TENANT}
    # at the end
clients: []
`;

  it('changes the values that are meant, and not a character besides', () => {
    const changes: ItemChange[] = [
      [['mailbox'], 'new@x.test'],
      [['auth', 'clientId'], 'a: b # c'],
      [['auth', 'clientSecret'], '${file:/var/x}'],
    ];
    expect(editItem(TEXT, 'accounts', 'billing', changes)).toBe(
      TEXT.replace('"old@x.test"', 'new@x.test')
        .replace("'old id'", '"a: b # c"')
        .replace('tenant: ${env:TENANT}\n', 'tenant: ${env:TENANT}\n      clientSecret: "${file:/var/x}"\n'),
    );
  });

  it.each([
    [
      'in flow style',
      'accounts:\n  - { name: a, auth: { clientId: x } } # keep\n',
      'accounts:\n  - { name: a, auth: { clientId: y, tenant: t } } # keep\n',
    ],
    ['wholly in flow style', 'accounts: [{name: a, auth: {clientId: x}}]', 'accounts: [{name: a, auth: {clientId: y, tenant: t}}]'],
    ['not indented', 'accounts:\n- name: a\n  auth:\n    clientId: x', 'accounts:\n- name: a\n  auth:\n    clientId: y\n    tenant: t'],
  ])('works on a list %s', (_, text, expected) => {
    const changes: ItemChange[] = [
      [['auth', 'clientId'], 'y'],
      [['auth', 'tenant'], 't'],
    ];
    expect(editItem(text, 'accounts', 'a', changes)).toBe(expected);
  });

  it.each([
    ['no YAML', 'accounts: [\n'],
    ['no such account', 'accounts:\n  - name: b\n    mailbox: x\n'],
    ['two of the name', 'accounts:\n  - { name: a, mailbox: x }\n  - { name: a, mailbox: x }\n'],
    ['an alias', 'x: &x y\naccounts:\n  - name: a\n    mailbox: *x\n'],
    ['a value that others refer to', 'accounts:\n  - name: a\n    mailbox: &x y\n'],
    ['a block of text', 'accounts:\n  - name: a\n    mailbox: |\n      x\n'],
    ['a text over two lines', 'accounts:\n  - name: a\n    mailbox: "x\n      y"\n'],
    ['a map', 'accounts:\n  - name: a\n    mailbox: { x: y }\n'],
    ['nothing', 'accounts:\n  - name: a\n    mailbox:\n'],
  ])('leaves %s to people', (_, text) => {
    expect(editItem(text, 'accounts', 'a', [[['mailbox'], 'new']])).toBeUndefined();
  });

  it('leaves a map to people that is not there, or is none', () => {
    for (const auth of ['', '    auth: x\n', '    auth: {}\n', '    auth: *x\n']) {
      const text = `x: &x { clientId: y }\naccounts:\n  - name: a\n${auth}`;
      expect(editItem(text, 'accounts', 'a', [[['auth', 'clientId'], 'new']])).toBeUndefined();
    }
  });

  it('puts in whatever the text is, and reads it back', () => {
    const name = fc.string({ unit: 'grapheme' });
    const there = fc.record({ mailbox: name, auth: fc.record({ clientId: name, grant: fc.constantFrom('x', 'true', '1') }) });
    fc.assert(
      fc.property(there, name, name, fc.constantFrom(undefined, 'key'), fc.boolean(), (item, mailbox, id, key, isFlow) => {
        const document = {
          accounts: [
            { name: 'a', ...item },
            { name: 'b', mailbox: 'untouched' },
          ],
          log: {},
        };
        const text = isFlow ? JSON.stringify(document) : stringify(document, { lineWidth: 0 });
        const added: ItemChange[] = key === undefined ? [] : [[['auth', key], id]];
        const after = editItem(text, 'accounts', 'a', [[['mailbox'], mailbox], [['auth', 'clientId'], id], ...added]);
        const auth = { ...item.auth, clientId: id, ...(key === undefined ? {} : { [key]: id }) };
        const expected = { ...document, accounts: [{ name: 'a', mailbox, auth }, document.accounts[1]] };
        // A text over several lines is left to people.
        if (after === undefined) expect(text).toMatch(/[|>][-+]?\d?\n|"[^"]*\n/);
        else expect(parse(after)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});
