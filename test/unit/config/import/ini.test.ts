/** INI as Python's configparser reads it. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type IniResult, parseIni } from '../../../../src/config/import/ini.ts';

function valuesOf(result: IniResult): unknown {
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return Object.fromEntries(
    result.sections.map(({ name, values }) => [name, Object.fromEntries([...values].map(([key, { text }]) => [key, text]))]),
  );
}

it('reads sections, both separators, comments, continuations, DEFAULT and a byte order mark', () => {
  const text =
    '\uFEFF[DEFAULT]\ncommon = 1\n[Server setup]\ndocumentation = one\n\ttwo [IMAP-1]\n\n\tthree\n# no = 1\n; no\n[a@b.example]\nCLIENT_ID: x = y; z\r\nkey=\n';
  expect(valuesOf(parseIni(text))).toEqual({
    'Server setup': { common: '1', documentation: 'one\ntwo [IMAP-1]\n\nthree' },
    'a@b.example': { common: '1', client_id: 'x = y; z', key: '' },
  });
});

it('tells every line that it cannot read', () => {
  expect(parseIni('key = 1\n[a]\nb = 1\nB = 2\nnonsense\n[a]\n= 3\n')).toEqual({
    ok: false,
    problems: [
      { line: 1, message: 'stands before the first [section]' },
      { line: 4, message: 'key b comes twice, first in line 3' },
      { line: 5, message: 'is neither a [section] nor key = value' },
      { line: 6, message: 'section [a] comes twice, first in line 2' },
      { line: 7, message: 'is neither a [section] nor key = value' },
    ],
  });
});

it('reads back whatever was written', () => {
  const word = fc.stringMatching(/^[a-z0-9@._-]{1,20}$/).filter((text) => text !== 'DEFAULT');
  const value = fc.stringMatching(/^[!-~]([ -~]{0,30}[!-~])?$/);
  fc.assert(
    fc.property(fc.dictionary(word, fc.dictionary(word, value)), (wanted) => {
      const text = Object.entries(wanted).map(
        ([name, values]) =>
          `[${name}]\n${Object.entries(values)
            .map(([key, each]) => `${key} = ${each}\n`)
            .join('')}`,
      );
      const read = valuesOf(parseIni(text.join('\n')));
      expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(wanted)));
    }),
  );
});

it('survives anything, in linear time', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseIni(text)));
  expect(parseIni(`[a]\nb = ${' \n\tx'.repeat(200_000)}`).ok).toBe(true);
  expect(parseIni('['.repeat(500_000)).ok).toBe(false);
});
