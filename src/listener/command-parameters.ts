/**
 * The extension parameters of MAIL and RCPT (RFC 5321 §4.1.2), checked whole before anything is believed.
 *
 * Pure. A parameter that is not known is refused with 555 (RFC 5321 §4.1.1.11); one that is known and wrong, or given twice, with 501.
 * Values are kept as they came, since they are written to the upstream that way; xtext is decoded only to look for control characters.
 *
 * @packageDocumentation
 */
import type { ForwardPath, MailParameters } from '../core/envelope.ts';
import type { Mutable } from '../core/mutable.ts';
import { type Octets, octets } from '../core/octets.ts';
import { type Reply, reply } from '../core/reply.ts';

type Outcome<Parameters> = { readonly parameters: Parameters } | { readonly refused: Reply };
/** Takes one parameter into `into`; a reply refuses it. */
type Reader<Into> = (value: string | undefined, into: Into, maxSize: Octets) => Reply | undefined;

/** @param text - What followed the path. @param maxSize - The listener's limit. */
export function parseMailParameters(text: string, maxSize: Octets): Outcome<MailParameters> {
  const parameters: Mutable<MailParameters> = { isSmtpUtf8: false, isRequireTls: false };
  const refused = readParameters(text, MAIL_READERS, parameters, maxSize);
  return refused === undefined ? { parameters } : { refused };
}

/** @param text - What followed the path `address`. */
export function parseRcptParameters(text: string, address: string): Outcome<ForwardPath> {
  const parameters: Mutable<ForwardPath> = { address };
  const refused = readParameters(text, RCPT_READERS, parameters, NO_SIZE);
  return refused === undefined ? { parameters } : { refused };
}

/** RCPT has no SIZE. */
const NO_SIZE = octets(0);

function readParameters<Into>(text: string, readers: ReadonlyMap<string, Reader<Into>>, into: Into, maxSize: Octets): Reply | undefined {
  if (text === '') return undefined;
  const seen = new Set<string>();
  for (const word of text.split(/[ \t]+/)) {
    if (word === '') continue;
    const equals = word.indexOf('=');
    const name = (equals === -1 ? word : word.slice(0, equals)).toUpperCase();
    const read = readers.get(name);
    if (read === undefined) return reply(555, '5.5.4', `Parameter not recognised: ${name.slice(0, 40)}`);
    if (seen.has(name)) return wrong(`${name} is given twice`);
    seen.add(name);
    const refused = read(equals === -1 ? undefined : word.slice(equals + 1), into, maxSize);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

const MAIL_READERS: ReadonlyMap<string, Reader<Mutable<MailParameters>>> = new Map<string, Reader<Mutable<MailParameters>>>([
  ['SIZE', readSize],
  ['BODY', readBody],
  ['SMTPUTF8', readSmtpUtf8],
  ['RET', readRet],
  ['ENVID', readEnvid],
  ['AUTH', checkAuth],
]);

/** RFC 1870 §3: 1 to 20 digits. */
function readSize(value: string | undefined, into: Mutable<MailParameters>, maxSize: Octets): Reply | undefined {
  if (value === undefined || !/^\d{1,20}$/.test(value)) return wrong('SIZE wants a number of octets');
  if (Number(value) > maxSize) return tooLarge(maxSize);
  into.size = octets(Number(value));
  return undefined;
}

/** RFC 1870 §6.1. */
export function tooLarge(maxSize: Octets): Reply {
  return reply(552, '5.3.4', `Message too large: this server takes at most ${maxSize} octets`);
}

/** RFC 6152 §2. BINARYMIME (RFC 3030) is not offered. */
function readBody(value: string | undefined, into: Mutable<MailParameters>): Reply | undefined {
  const body = value?.toUpperCase();
  if (body !== '7BIT' && body !== '8BITMIME') return wrong('BODY is 7BIT or 8BITMIME');
  into.body = body;
  return undefined;
}

/** RFC 6531 §3.4: takes no value. */
function readSmtpUtf8(value: string | undefined, into: Mutable<MailParameters>): Reply | undefined {
  if (value !== undefined) return wrong('SMTPUTF8 takes no value');
  into.isSmtpUtf8 = true;
  return undefined;
}

/** RFC 3461 §4.3. */
function readRet(value: string | undefined, into: Mutable<MailParameters>): Reply | undefined {
  const ret = value?.toUpperCase();
  if (ret !== 'FULL' && ret !== 'HDRS') return wrong('RET is FULL or HDRS');
  into.ret = ret;
  return undefined;
}

/** RFC 3461 §4.4: at most 100 characters of xtext. */
function readEnvid(value: string | undefined, into: Mutable<MailParameters>): Reply | undefined {
  if (value === undefined || value === '' || value.length > 100 || !isCleanXtext(value))
    return wrong('ENVID wants up to 100 characters of xtext');
  into.envid = value;
  return undefined;
}

/** RFC 4954 §5: `AUTH=<>` or xtext. We trust no client to name somebody else, so it is checked and dropped. */
function checkAuth(value: string | undefined): Reply | undefined {
  return value === '<>' || (value !== undefined && value !== '' && isCleanXtext(value)) ? undefined : wrong('AUTH wants <> or xtext');
}

const RCPT_READERS: ReadonlyMap<string, Reader<Mutable<ForwardPath>>> = new Map([
  ['NOTIFY', readNotify],
  ['ORCPT', readOrcpt],
]);

/** RFC 3461 §4.1: NEVER, or a list of the others. */
function readNotify(value: string | undefined, into: Mutable<ForwardPath>): Reply | undefined {
  const words = (value ?? '').toUpperCase().split(',');
  if (words.length === 1 && words[0] === 'NEVER') {
    into.notify = ['NEVER'];
    return undefined;
  }
  const reports = [...new Set(words)].filter(isReport);
  if (reports.length === 0 || !words.every(isReport)) return wrong('NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY');
  into.notify = reports;
  return undefined;
}

const isReport = (word: string): word is 'SUCCESS' | 'FAILURE' | 'DELAY' => word === 'SUCCESS' || word === 'FAILURE' || word === 'DELAY';

/** RFC 3461 §4.2: an address type, a semicolon, and xtext. */
function readOrcpt(value: string | undefined, into: Mutable<ForwardPath>): Reply | undefined {
  const match = /^([A-Za-z0-9-]{1,20});(.{1,500})$/.exec(value ?? '');
  if (match === null || !isCleanXtext(match[2] ?? '')) return wrong('ORCPT wants a type, a semicolon and xtext');
  into.orcpt = value ?? '';
  return undefined;
}

/** RFC 3461 §4: printable ASCII without `+` and `=`, or `+` and two upper-case hex digits, none of which stand for a control character. */
function isCleanXtext(text: string): boolean {
  if (!/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text)) return false;
  return [...text.matchAll(/\+([0-9A-F]{2})/g)].every(([, hex = '00']) => /[2-7]/.test(hex.charAt(0)) && hex !== '7F');
}

const wrong = (why: string): Reply => reply(501, '5.5.4', why);
