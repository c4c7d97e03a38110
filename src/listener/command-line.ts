/**
 * One line of the client as verb and argument (RFC 5321 §2.4, §4.1.1).
 *
 * Pure. Blanks at both ends and around the verb do not matter (RFC 5321 §4.1.1.1), nor does what a device's terminal emulation puts in front
 * of a verb: octets that do not print.
 *
 * @packageDocumentation
 */
import { cleanText } from '../core/reply.ts';

/** A command, its verb in upper case. */
export interface CommandLine {
  readonly kind: 'command';
  readonly verb: string;
  /** Without surrounding blanks; octets that are not UTF-8 have become U+FFFD. */
  readonly argument: string;
  readonly hasControlCharacters: boolean;
}

/** Anything a client may send in command state. */
export type ParsedLine = CommandLine | { readonly kind: 'blank' } | { readonly kind: 'malformed'; readonly why: string };

/** RFC 5321 §4.5.3.1.4 allows 512 octets, and extensions add to it (ORCPT alone 500, RFC 3461 §4.2). */
const LONGEST_COMMAND = 2_048;

export function parseCommandLine(octets: Buffer): ParsedLine {
  const text = octets.toString('utf8');
  const line = (UNPRINTED.test(text) ? text.replace(UNPRINTED, '') : text).trimEnd();
  if (line === '') return { kind: 'blank' };
  const verb = (VERB.exec(line)?.[0] ?? '').toUpperCase();
  // AUTH has limits of its own (RFC 4954 §4).
  if (octets.length > LONGEST_COMMAND && verb !== 'AUTH') return { kind: 'malformed', why: 'Line too long' };
  if (verb === '') return { kind: 'malformed', why: 'Command not recognised' };
  const argument = line.slice(verb.length).trim();
  return { kind: 'command', verb, argument, hasControlCharacters: CONTROL_CHARACTER.test(argument) };
}

const UNPRINTED = /^[^\u0021-\u007e]+/;
const VERB = /^[A-Za-z]{1,16}(?=$|[ \t])/;
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/;

/** What follows `FROM:` or `TO:`; undefined where that is missing. */
export function argumentAfter({ argument }: CommandLine, keyword: 'FROM' | 'TO'): string | undefined {
  const { length } = keyword;
  if (argument.slice(0, length).toUpperCase() !== keyword) return undefined;
  const colon = argument.indexOf(':', length);
  return colon === -1 || !/^[ \t]*$/.test(argument.slice(length, colon)) ? undefined : argument.slice(colon + 1);
}

/** A web page can make a browser post SMTP commands to a port of this machine; its first line gives it away. */
export function isHttpRequest(octets: Buffer): boolean {
  return octets.includes('HTTP/') && /^[A-Z]{3,10} \S{1,2000} HTTP\/\d/.test(octets.toString('latin1'));
}

/** Verbs whose argument holds names and addresses, and never a password. */
const SHOWN_WHOLE: ReadonlySet<string> = new Set(['HELO', 'EHLO', 'MAIL', 'RCPT']);
const SHOWN_VERBS: ReadonlySet<string> = new Set(['STARTTLS', 'DATA', 'RSET', 'NOOP', 'HELP', 'VRFY', 'QUIT']);
const MECHANISMS: ReadonlySet<string> = new Set(['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER', 'CRAM-MD5', 'NTLM', 'GSSAPI', 'EXTERNAL']);

/**
 * A line as it may be shown in a trace.
 *
 * A client whose AUTH was refused may go on and send user name and password as if they were commands, so of what is no command of ours only the size is shown.
 */
export function shownCommand(octets: Buffer): string {
  const line = parseCommandLine(octets);
  if (line.kind === 'blank') return '[blank line]';
  if (line.kind === 'command') {
    const { verb, argument } = line;
    if (SHOWN_WHOLE.has(verb)) return cleanText(argument === '' ? verb : `${verb} ${argument}`);
    if (SHOWN_VERBS.has(verb)) return argument === '' ? verb : `${verb} [removed]`;
    const [mechanism = '', ...rest] = argument.split(/[ \t]+/);
    if (verb === 'AUTH' && MECHANISMS.has(mechanism.toUpperCase())) return `AUTH ${mechanism}${rest.length === 0 ? '' : ' [removed]'}`;
  }
  return `[${octets.length} octets that are no command]`;
}
