/** Durations, sizes, suggestions: small things that everything else relies on. */
import { describe, expect, it } from 'vitest';
import { DURATION_PATTERN, parseDuration, parseSize, SIZE_PATTERN } from '../../../src/config/quantities.ts';
import { editDistance, nearest } from '../../../src/config/suggest.ts';

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['15s', 15_000],
    ['15 s', 15_000],
    ['1.5h', 5_400_000],
    ['30m', 1_800_000],
    ['30min', 1_800_000],
    ['4h', 14_400_000],
    ['5d', 432_000_000],
    ['0s', 0],
  ])('%s', (text, expected) => {
    expect(text).toMatch(DURATION_PATTERN);
    expect(parseDuration(text)).toBe(expected);
  });

  it.each(['15', '', 's', '-1s', '1e3s', '15S', '1h30m', '15 seconds', '1.s', '99999999999d'])('not %j', (text) => {
    expect(text).not.toMatch(DURATION_PATTERN);
  });
});

describe('sizes', () => {
  it.each([
    ['512B', 512],
    ['64KB', 65_536],
    ['35MB', 36_700_160],
    ['35mb', 36_700_160],
    ['1.5 MB', 1_572_864],
    ['10GB', 10_737_418_240],
    ['1TB', 1_099_511_627_776],
  ])('%s', (text, expected) => {
    expect(text).toMatch(SIZE_PATTERN);
    expect(parseSize(text)).toBe(expected);
  });

  it.each(['35', '35M', 'MB', '-1MB', '35 megabytes', '1PB'])('not %j', (text) => {
    expect(text).not.toMatch(SIZE_PATTERN);
  });
});

describe('edit distance', () => {
  it.each([
    ['', '', 0],
    ['abc', 'abc', 0],
    ['abc', '', 3],
    ['', 'abc', 3],
    ['abc', 'abd', 1],
    ['abc', 'acb', 1],
    ['mailbox', 'mialbox', 1],
    ['kitten', 'sitting', 3],
  ])('of %j and %j', (one, other, distance) => {
    expect(editDistance(one, other)).toBe(distance);
    expect(editDistance(other, one)).toBe(distance);
  });
});

describe('the nearest word', () => {
  const known = ['mailbox', 'clientId', 'clientSecret', 'tls'];
  it.each([
    ['mialbox', 'mailbox'],
    ['client_id', 'clientId'],
    ['CLIENT-SECRET', 'clientSecret'],
    ['tsl', 'tls'],
    ['completely', undefined],
    ['x'.repeat(1000), undefined],
  ])('to %s', (word, expected) => {
    expect(nearest(word, known)).toBe(expected);
  });
});
