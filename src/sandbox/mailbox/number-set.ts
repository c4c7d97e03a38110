/**
 * Sets of message numbers: `1:3,7,12:*` (RFC 3501 §9, `sequence-set`).
 *
 * @packageDocumentation
 */
import { ImapSyntaxError } from './imap-arguments.ts';

const MOST_RANGES = 10_000;

/** @param largest - What `*` stands for. @returns Whether a number is in the set. @throws ImapSyntaxError */
export function parseNumberSet(text: string, largest: number): (number: number) => boolean {
  const parts = text.split(',');
  if (parts.length > MOST_RANGES) throw new ImapSyntaxError('The message set is too long.');
  const ranges = parts.map((part) => {
    const match = /^(\d{1,10}|\*)(?::(\d{1,10}|\*))?$/.exec(part);
    if (match === null) throw new ImapSyntaxError('The specified message set is invalid.');
    const ends = [match[1] ?? '', match[2] ?? match[1] ?? ''].map((end) => (end === '*' ? largest : Number(end)));
    return { least: Math.min(...ends), most: Math.max(...ends) };
  });
  return (number) => ranges.some(({ least, most }) => number >= least && number <= most);
}
