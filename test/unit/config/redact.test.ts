/** A configuration as it may be shown: nothing that could be a secret. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { replacePassword } from '../../../src/config/edit.ts';
import { redactConfig } from '../../../src/config/redact.ts';
import { SECRET_KEYS } from '../../../src/config/schema.ts';

describe('redactConfig', () => {
  it.each([...SECRET_KEYS, 'clientSecrt_secret', 'myToken', 'PASSWORD'])('hides %s in every spelling', (key) => {
    const secret = 'canary-1 "quoted" \\ ü';
    for (const text of [
      `${key}: ${JSON.stringify(secret)}\nnext: 1\n`,
      `a: { ${key}: ${JSON.stringify(secret)}, b: 1 }\n`,
      stringify({ list: [{ [key]: `${secret}\nsecond canary-1 line\n` }], end: 2 }),
      `${key}:\n  - ${JSON.stringify(secret)}\n  - canary-1\nend: 2\n`,
      `# ${key}: canary-1\nend: 2\n`,
      `x: 1 #  ${key}: 'canary-1'\n`,
    ]) {
      const shown = redactConfig(text) ?? '';
      expect(shown, text).not.toContain('canary-1');
      expect(shown).toContain('[secret]');
      expect(() => parse(shown) as unknown).not.toThrow();
    }
  });

  it.each([
    ['references', 'password: "${file:/run/secrets/x}"\nclientSecret: ${env:SECRET}\n'],
    ['what has no value', 'password:\nclientSecret: ~\n'],
    ['other keys', 'tokenUrl: https://x.test/\nclientSecretExpires: 2027-01-01\nkeyFile: ./key\n'],
    ['comments', '# the password is in a file\nx: 1 # no secret\n# password: "${file:/x}"\n'],
  ])('shows %s as they are', (_, text) => {
    expect(redactConfig(text)).toBe(text);
  });

  it('hides a reference that has a secret beside it', () => {
    expect(redactConfig('password: "canary-1 ${env:REST}"\n')).not.toContain('canary-1');
  });

  it('shows nothing of what is no YAML', () => {
    expect(redactConfig('password: "canary-1\n')).toBeUndefined();
  });

  it('leaves the examples as they are but for their secrets', () => {
    const folder = new URL('../../../config/examples/', import.meta.url);
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.yaml'))) {
      const text = readFileSync(new URL(name, folder), 'utf8');
      expect(redactConfig(text)?.split('\n').length, name).toBe(text.split('\n').length);
    }
  });
});

describe('replacePassword', () => {
  it.each([
    ['a hash', 'clients:\n  - name: erp # ours\n    passwordHash: $old\n    account: a\n'],
    ['a password', 'clients:\n  - name: erp # ours\n    password: "${file:/x}"\n    account: a\n'],
    ['a password in a block', 'clients:\n  - name: erp # ours\n    password: |\n      two\n    account: a\n'],
    ['a flow map', 'clients:\n  - { name: erp, password: x, account: a } # ours\n'],
  ])('in place of %s', (_, text) => {
    const after = replacePassword(`${text}# end\n`, 'erp', '$scrypt$ln=15,r=8$x') ?? '';
    expect(parse(after)).toEqual({ clients: [{ name: 'erp', passwordHash: '$scrypt$ln=15,r=8$x', account: 'a' }] });
    expect(after).toContain('# ours');
    expect(after).toContain('# end');
  });

  it('leaves the others alone', () => {
    const text = 'clients:\n  - name: a\n    passwordHash: $a\n  - name: b\n    networks: [10.0.0.0/8]\n';
    expect(replacePassword(text, 'b', '$new')).toBeUndefined();
    expect(replacePassword(text, 'c', '$new')).toBeUndefined();
    expect(replacePassword(text, 'a', '$new')).toBe(text.replace('$a', '"$new"'));
  });
});
