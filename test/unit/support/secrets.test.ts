import { describe, expect, it } from 'vitest';
import { secretsIn } from '../../support/real/secrets.ts';

const SECRET = 'se/cret~Token.value+1';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('secretsIn', () => {
  it.each([
    ['as it is', SECRET],
    ['in a URL', encodeURIComponent(SECRET)],
    ['in hex', Buffer.from(SECRET).toString('hex')],
    ['in base64', base64(SECRET)],
    ['in the base64 of a login', base64(`\0erp\0${SECRET}`)],
    ['one octet later', base64(`a${SECRET}b`)],
    ['two octets later', base64(`ab${SECRET}cd`)],
  ])('finds a secret %s', (_form, written) => {
    expect(secretsIn(`{"text":"${written}"}`, ['another secret', SECRET])).toEqual(['se/cre…']);
  });

  it('finds nothing where there is nothing', () => {
    expect(secretsIn(`${SECRET.slice(1)} ${base64(SECRET.slice(2))}`, [SECRET])).toEqual([]);
  });
});
