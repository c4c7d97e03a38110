/**
 * The keys of SEARCH (RFC 3501 §6.4.4) as one test of a message.
 *
 * @packageDocumentation
 */
import { fieldValue, splitHeader } from './entity.ts';
import { type Argument, ImapSyntaxError, textOf } from './imap-arguments.ts';
import type { StoredMessage } from './mail-store.ts';
import { parseNumberSet } from './number-set.ts';

/** Does the message fit? `number` is its sequence number. */
export type SearchTest = (message: StoredMessage, number: number) => boolean;

/** What `*` stands for. */
export interface LargestNumbers {
  readonly uid: number;
  readonly number: number;
}

const FLAG_KEYS = new Map<string, string>(
  ['Answered', 'Deleted', 'Draft', 'Flagged', 'Seen'].map((flag) => [flag.toUpperCase(), `\\${flag}`]),
);
const DAY = 86_400_000;

/** @throws ImapSyntaxError */
export function parseSearch(keys: readonly Argument[], largest: LargestNumbers): SearchTest {
  const rest = [...keys];
  if (rest.length === 0) throw new ImapSyntaxError('Command Argument Error. 19');
  const tests: SearchTest[] = [];
  while (rest.length > 0) tests.push(nextTest(rest, largest));
  return (message, number) => tests.every((test) => test(message, number));
}

function nextTest(rest: Argument[], largest: LargestNumbers): SearchTest {
  const head = rest.shift();
  if (head !== undefined && typeof head !== 'string' && !Buffer.isBuffer(head)) return parseSearch(head, largest);
  const key = textOf(head).toUpperCase();
  const next = (): string => textOf(rest.shift());
  if (/^[\d*]/.test(key)) {
    const isIn = parseNumberSet(key, largest.number);
    return (_, number) => isIn(number);
  }
  const flag = FLAG_KEYS.get(key) ?? FLAG_KEYS.get(key.replace(/^UN/, ''));
  if (flag !== undefined) return (message) => message.flags.has(flag) !== key.startsWith('UN');
  switch (key) {
    case 'ALL':
    case 'OLD':
      return () => true;
    case 'NEW':
    case 'RECENT':
      return () => false;
    case 'NOT': {
      const test = nextTest(rest, largest);
      return (message, number) => !test(message, number);
    }
    case 'OR': {
      const [one, other] = [nextTest(rest, largest), nextTest(rest, largest)];
      return (message, number) => one(message, number) || other(message, number);
    }
    case 'UID': {
      const isIn = parseNumberSet(next(), largest.uid);
      return ({ uid }) => isIn(uid);
    }
    case 'KEYWORD':
    case 'UNKEYWORD': {
      const keyword = next();
      return ({ flags }) => flags.has(keyword) === (key === 'KEYWORD');
    }
    case 'LARGER':
    case 'SMALLER': {
      const size = Number(next());
      return ({ octets }) => (key === 'LARGER' ? octets.length > size : octets.length < size);
    }
    case 'HEADER':
      return fieldTest(next().toLowerCase(), next());
    case 'FROM':
    case 'TO':
    case 'CC':
    case 'BCC':
    case 'SUBJECT':
      return fieldTest(key.toLowerCase(), next());
    case 'BODY':
    case 'TEXT': {
      const wanted = next().toLowerCase();
      return ({ octets }) => (key === 'TEXT' ? octets : splitHeader(octets).body).toString('latin1').toLowerCase().includes(wanted);
    }
    default:
      return dateTest(key, next);
  }
}

function fieldTest(name: string, text: string): SearchTest {
  const wanted = text.toLowerCase();
  return ({ octets }) => fieldValue(splitHeader(octets).header, name)?.toLowerCase().includes(wanted) === true;
}

/** Dates count without time and zone. */
function dateTest(key: string, next: () => string): SearchTest {
  const [, sent, relation] = /^(SENT)?(BEFORE|ON|SINCE)$/.exec(key) ?? [];
  if (relation === undefined) throw new ImapSyntaxError('Command Argument Error. 20');
  const wanted = Date.parse(`${next().replaceAll('-', ' ')} 00:00:00 UTC`);
  if (Number.isNaN(wanted)) throw new ImapSyntaxError('Command Argument Error. 21');
  return (message) => {
    const at = sent === undefined ? message.receivedAt : Date.parse(fieldValue(splitHeader(message.octets).header, 'date') ?? '');
    const day = Math.floor(at / DAY) * DAY;
    return relation === 'BEFORE' ? day < wanted : relation === 'ON' ? day === wanted : day >= wanted;
  };
}
