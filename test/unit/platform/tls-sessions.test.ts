import { expect, it } from 'vitest';
import { hours, type MonotonicMs, plus } from '../../../src/core/clock.ts';
import { TlsSessions } from '../../../src/platform/tls-sessions.ts';

const now = 1_000 as MonotonicMs;
const session = (name: string, verifiedAt = now) => ({ session: Buffer.from(name), verifiedAt });
const taken = (sessions: TlsSessions, server: string, at = now): string | undefined => sessions.take(server, at)?.session.toString();

it('hands out each session once, the newest first, and the last one until another has come', () => {
  const sessions = new TlsSessions();
  expect(taken(sessions, 'mail.test:993')).toBeUndefined();
  for (const name of ['first', 'second', 'third']) sessions.keep('mail.test:993', session(name));
  expect([1, 2, 3, 4].map(() => taken(sessions, 'mail.test:993'))).toEqual(['third', 'second', 'first', 'first']);
  sessions.keep('mail.test:993', session('fourth'));
  expect(taken(sessions, 'mail.test:993')).toBe('fourth');
});

it('keeps servers apart, and forgets one alone', () => {
  const sessions = new TlsSessions();
  sessions.keep('mail.test:993', session('imap'));
  sessions.keep('mail.test:587', session('smtp'));
  sessions.forget('mail.test:993');
  expect(taken(sessions, 'mail.test:993')).toBeUndefined();
  expect(taken(sessions, 'mail.test:587')).toBe('smtp');
});

it('lets a server show its certificate a day after it did', () => {
  const sessions = new TlsSessions();
  sessions.keep('mail.test:993', session('old'));
  sessions.keep('mail.test:993', session('young', plus(now, hours(1))));
  expect(taken(sessions, 'mail.test:993', plus(now, hours(23)))).toBe('young');
  sessions.keep('mail.test:993', session('young', plus(now, hours(1))));
  expect(taken(sessions, 'mail.test:993', plus(now, hours(24)))).toBe('young');
  expect(taken(sessions, 'mail.test:993', plus(now, hours(25)))).toBeUndefined();
});

it('is bounded: sixteen of a server, 128 servers, the oldest gone first', () => {
  const sessions = new TlsSessions();
  for (let count = 0; count < 20; count += 1) sessions.keep('mail.test:993', session(`s${count}`));
  const all = Array.from({ length: 17 }, () => taken(sessions, 'mail.test:993'));
  expect(all).toEqual([...Array.from({ length: 16 }, (_, index) => `s${19 - index}`), 's4']);
  for (let count = 0; count < 128; count += 1) sessions.keep(`host${count}.test:993`, session('one'));
  expect(taken(sessions, 'mail.test:993')).toBeUndefined();
  expect(taken(sessions, 'host0.test:993')).toBe('one');
  sessions.keep('host0.test:993', session('again'));
  sessions.keep('more.test:993', session('one'));
  expect([taken(sessions, 'host0.test:993'), taken(sessions, 'host1.test:993')]).toEqual(['again', undefined]);
});
