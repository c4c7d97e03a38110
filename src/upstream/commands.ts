/**
 * MAIL and RCPT as lines for an upstream, with those parameters alone that it offers.
 *
 * Pure. Where a parameter is not offered it is left out if the message means the same without it, else the command is refused here with a
 * permanent reply:
 *
 * - SIZE, RET, ENVID, NOTIFY, ORCPT: left out. RFC 3461 §5.2.2 has the relay issue a "relayed" report where SUCCESS was asked for.
 *   Deviation: we issue none; every provider we know offers DSN.
 * - BODY=8BITMIME: left out, and the content is sent as it is. RFC 6152 §3 wants a conversion or a refusal. Deviation: legacy
 *   applications send 8-bit content without saying so anyway, connections are 8-bit clean, and a conversion would break signatures.
 * - SMTPUTF8: refused where an address needs it (RFC 6531 §3.2). Where none does it is left out: clients ask for it by habit.
 * - REQUIRETLS: refused (RFC 8689 §4.2.1).
 *
 * @packageDocumentation
 */
import type { ForwardPath, MailParameters, ReversePath } from '../core/envelope.ts';
import { type Reply, reply } from '../core/reply.ts';
import type { Extensions } from './ehlo.ts';

/** A line without its line end, or the reply that takes its place. */
export type CommandLine = { readonly line: string } | { readonly refusal: Reply };

/** True where an address can only be sent with SMTPUTF8. */
export const needsUtf8 = (address: string): boolean => /[^\u0000-\u007f]/.test(address);

/** MAIL FROM with its parameters. */
export function mailCommand(reversePath: ReversePath, parameters: MailParameters, offered: Extensions): CommandLine {
  if (!isPath(reversePath) && reversePath !== '') return { refusal: reply(501, '5.1.7', 'Bad sender address syntax') };
  if (!isParameter(parameters.envid)) return { refusal: reply(501, '5.5.4', 'Bad ENVID parameter') };
  if (needsUtf8(reversePath) && !offered.isSmtpUtf8) return { refusal: withoutUtf8 };
  if (parameters.isRequireTls && !offered.isRequireTls) {
    return { refusal: reply(550, '5.7.30', 'REQUIRETLS is not supported by the mail provider') };
  }
  const { size, body, ret, envid } = parameters;
  let line = `MAIL FROM:<${reversePath}>`;
  if (offered.isSize && size !== undefined) line += ` SIZE=${size}`;
  if (offered.isEightBitMime && body !== undefined) line += ` BODY=${body}`;
  if (offered.isSmtpUtf8 && (parameters.isSmtpUtf8 || needsUtf8(reversePath))) line += ' SMTPUTF8';
  if (parameters.isRequireTls) line += ' REQUIRETLS';
  if (offered.isDsn && ret !== undefined) line += ` RET=${ret}`;
  if (offered.isDsn && envid !== undefined) line += ` ENVID=${envid}`;
  return { line };
}

/**
 * RCPT TO with its parameters.
 *
 * @param isUtf8Transaction - SMTPUTF8 was asked for with MAIL.
 */
export function rcptCommand(forwardPath: ForwardPath, isUtf8Transaction: boolean, offered: Extensions): CommandLine {
  const { address, notify, orcpt } = forwardPath;
  if (!isPath(address)) return { refusal: reply(501, '5.1.3', 'Bad recipient address syntax') };
  if (!isParameter(orcpt)) return { refusal: reply(501, '5.5.4', 'Bad ORCPT parameter') };
  if (needsUtf8(address) && !isUtf8Transaction) return { refusal: withoutUtf8 };
  let line = `RCPT TO:<${address}>`;
  if (offered.isDsn && notify !== undefined) line += ` NOTIFY=${notify.join(',')}`;
  if (offered.isDsn && orcpt !== undefined) line += ` ORCPT=${orcpt}`;
  return { line };
}

/** RFC 6531 §3.5: X.6.7 non-ASCII addresses not permitted for that sender or recipient. */
const withoutUtf8 = reply(553, '5.6.7', 'The mail provider does not take non-ASCII addresses');

/**
 * What may stand between `<` and `>`. The listener has parsed the address; this is the last guard before the wire, against a second
 * command or path. Spaces are legal inside a quoted local part alone (RFC 5321 §4.1.2).
 */
function isPath(address: string): boolean {
  if (address === '' || /[\u0000-\u001f\u007f-\u009f<>\u200b\u2028\u2029\ufeff]/.test(address)) return false;
  const outsideQuotes = address.startsWith('"') ? address.replace(/^"(?:[^"\\]|\\.)*"@/, '@') : address;
  return !/[\s"]/.test(outsideQuotes);
}

/** RFC 5321 §4.1.2, esmtp-value: printable ASCII without space. */
const isParameter = (value: string | undefined): boolean => value === undefined || /^[\x21-\x7e]{1,512}$/.test(value);
