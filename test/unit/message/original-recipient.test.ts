import { describe, expect, it } from 'vitest';
import { decodeOriginalRecipient, decodeXtext, encodeUnicodeEscapes } from '../../../src/message/original-recipient.ts';

describe('xtext', () => {
  it.each([
    ['plain', 'plain'],
    ['a+2Bb+3Dc', 'a+b=c'],
    ['QQ+20314159', 'QQ 314159'],
    ['+0D+0AEvil:', '+0D+0AEvil:'],
    ['+C3+A9', '+C3+A9'],
    ['+2b', '+2b'],
    ['+2', '+2'],
    ['', ''],
  ])('%j is %j', (text, expected) => {
    expect(decodeXtext(text)).toBe(expected);
  });
});

describe('an original recipient', () => {
  it.each([
    ['rfc822;Bob@example.test', { type: 'rfc822', address: 'Bob@example.test' }],
    ['RFC822;a+2Bb@example.test', { type: 'rfc822', address: 'a+b@example.test' }],
    ['utf-8;j\\x{F6}rg@example.test', { type: 'utf-8', address: 'jörg@example.test' }],
    ['utf-8;a\\x{0A}b@example.test', { type: 'utf-8', address: 'a\\x{0A}b@example.test' }],
    ['utf-8;a\\x{202E}b@example.test', { type: 'utf-8', address: 'a\\x{202E}b@example.test' }],
    ['utf-8;a\\x{D800}\\x{110000}', { type: 'utf-8', address: 'a\\x{D800}\\x{110000}' }],
    ['rfc822;j\\x{F6}rg', { type: 'rfc822', address: 'j\\x{F6}rg' }],
    ['x-400;c=us', { type: 'x-400', address: 'c=us' }],
  ])('%s', (orcpt, expected) => {
    expect(decodeOriginalRecipient(orcpt)).toEqual(expected);
  });

  it.each(['', 'rfc822', 'rfc822;', ';a@b', 'rfc 822;a', 'rfc822;a b', 'rfc822;a\r\nX: y', 'rfc822;é'])('not %j', (orcpt) => {
    expect(decodeOriginalRecipient(orcpt)).toBeUndefined();
  });
});

describe('escapes', () => {
  it.each([
    ['jörg@example.test', 'j\\x{F6}rg@example.test'],
    ['a+b=c\\d', 'a\\x{2B}b\\x{3D}c\\x{5C}d'],
    ['😀@example.test', '\\x{1F600}@example.test'],
    ['a b', 'a\\x{20}b'],
  ])('%s is %s, and leads back', (text, escaped) => {
    expect(encodeUnicodeEscapes(text)).toBe(escaped);
    expect(decodeOriginalRecipient(`utf-8;${escaped}`)?.address).toBe(text);
  });
});
