/**
 * The IMAP commands that need a selected folder (RFC 3501 §6.4, RFC 4315, RFC 6851). Each returns its tagged response without the tag.
 *
 * @packageDocumentation
 */
import type { MailboxFaults } from '../faults.ts';
import { fetchItem, fetchItems, flagList, marksSeen } from './fetch-items.ts';
import { type Argument, ImapSyntaxError, itemsOf, textOf } from './imap-arguments.ts';
import type { Folder, MailStore, StoredMessage } from './mail-store.ts';
import { parseSearch } from './search-keys.ts';
import type { NumberedMessage, SelectedFolder } from './selected-folder.ts';
import type { SessionWire } from './session-wire.ts';

/** What the commands work on. */
export interface SelectedContext {
  readonly wire: SessionWire;
  readonly selected: SelectedFolder;
  readonly store: MailStore;
  readonly mailbox: string;
  readonly faults: MailboxFaults;
}

type SelectedCommand = (context: SelectedContext, args: readonly Argument[], isByUid: boolean) => Promise<string>;

const READ_ONLY = 'NO The folder is read-only.';
const CLOSING_PARENTHESIS = Buffer.from(')\r\n');
const SPACE = Buffer.from(' ');

/** By name; `UID` in front of them is told apart by the caller. */
export const SELECTED_COMMANDS: ReadonlyMap<string, SelectedCommand> = new Map<string, SelectedCommand>([
  ['FETCH', fetch],
  ['STORE', store],
  ['SEARCH', search],
  ['EXPUNGE', expunge],
  ['COPY', copy],
  ['MOVE', move],
]);

/** Gone messages are not reported behind these (RFC 3501 §7.4.1): numbers in commands already on their way would point elsewhere. */
export const KEEPS_NUMBERS: ReadonlySet<string> = new Set(['FETCH', 'STORE', 'SEARCH']);

async function fetch({ wire, selected }: SelectedContext, args: readonly Argument[], isByUid: boolean): Promise<string> {
  const picked = selected.pick(textOf(args[0]), isByUid);
  const asked = fetchItems(args[1]);
  const setsSeen = !selected.isReadOnly && asked.some(marksSeen);
  for (const { number, message } of picked) {
    const isNew = setsSeen && !message.flags.has('\\Seen');
    if (isNew) message.flags.add('\\Seen');
    const names = new Set(asked.map((name) => name.toUpperCase()));
    const extra = [...(isByUid && !names.has('UID') ? ['UID'] : []), ...(isNew && !names.has('FLAGS') ? ['FLAGS'] : [])];
    const items = [...extra, ...asked].flatMap((item, index) => [...(index === 0 ? [] : [SPACE]), ...fetchItem(item, message)]);
    for (const octets of [Buffer.from(`* ${number} FETCH (`), ...items, CLOSING_PARENTHESIS]) await wire.octets(octets);
    if (!wire.isOpen) break;
  }
  return 'OK FETCH completed.';
}

async function store({ wire, selected }: SelectedContext, args: readonly Argument[], isByUid: boolean): Promise<string> {
  const [, sign = '', silent] = /^([+-]?)FLAGS(\.SILENT)?$/i.exec(textOf(args[1])) ?? [undefined, undefined];
  if (!/^[+-]?FLAGS/i.test(textOf(args[1]))) throw new ImapSyntaxError('Command Argument Error. 22');
  const picked = selected.pick(textOf(args[0]), isByUid);
  if (selected.isReadOnly) return READ_ONLY;
  const flags = args.slice(2).flatMap(itemsOf).map(textOf).map(canonicalFlag);
  for (const { number, message } of picked) {
    if (sign === '') message.flags.clear();
    for (const flag of flags) {
      if (sign === '-') message.flags.delete(flag);
      else message.flags.add(flag);
    }
    const uid = isByUid ? ` UID ${message.uid}` : '';
    if (silent === undefined) await wire.line(`* ${number} FETCH (FLAGS ${flagList(message.flags)}${uid})`);
  }
  return 'OK STORE completed.';
}

async function search({ wire, selected, faults }: SelectedContext, args: readonly Argument[], isByUid: boolean): Promise<string> {
  const hasCharset = typeof args[0] === 'string' && args[0].toUpperCase() === 'CHARSET';
  const charset = hasCharset ? textOf(args[1]).toUpperCase() : 'US-ASCII';
  if (charset !== 'US-ASCII' && !(charset === 'UTF-8' && faults.takesUtf8Search)) {
    return 'NO [BADCHARSET (US-ASCII)] The specified charset is not supported.';
  }
  const fits = parseSearch(hasCharset ? args.slice(2) : args, { uid: selected.largestUid, number: selected.size });
  const found = selected.all().filter(({ number, message }) => fits(message, number));
  await wire.line(['* SEARCH', ...found.map(({ number, message }) => (isByUid ? message.uid : number))].join(' '));
  return 'OK SEARCH completed.';
}

/** What has gone is told by the caller, as other changes are. */
async function expunge({ selected, store: mail }: SelectedContext, args: readonly Argument[], isByUid: boolean): Promise<string> {
  if (selected.isReadOnly) return READ_ONLY;
  const picked = isByUid ? selected.pick(textOf(args[0]), true) : selected.all();
  expungeDeleted(
    selected,
    mail,
    picked.map(({ message }) => message),
  );
  return 'OK EXPUNGE completed.';
}

export function expungeDeleted({ folder }: SelectedFolder, store: MailStore, messages: readonly StoredMessage[]): void {
  for (const message of messages) if (message.flags.has('\\Deleted')) store.remove(folder, message);
}

async function copy(context: SelectedContext, args: readonly Argument[], isByUid: boolean): Promise<string> {
  const copied = copyTo(context, args, isByUid);
  return copied === undefined ? NO_FOLDER : `OK ${copied.code} COPY completed.`;
}

async function move(context: SelectedContext, args: readonly Argument[], isByUid: boolean): Promise<string> {
  if (context.selected.isReadOnly) return READ_ONLY;
  const copied = copyTo(context, args, isByUid);
  if (copied === undefined) return NO_FOLDER;
  // RFC 6851 §4.3: COPYUID stands in an untagged OK before the EXPUNGEs.
  await context.wire.line(`* OK ${copied.code}`);
  for (const { message } of copied.picked) context.store.remove(context.selected.folder, message);
  return 'OK MOVE completed.';
}

const NO_FOLDER = 'NO [TRYCREATE] The requested folder could not be found.';

interface Copied {
  /** RFC 4315 §3. */
  readonly code: string;
  readonly picked: readonly NumberedMessage[];
}

function copyTo({ selected, store: mail, mailbox }: SelectedContext, args: readonly Argument[], isByUid: boolean): Copied | undefined {
  const picked = selected.pick(textOf(args[0]), isByUid);
  const target: Folder | undefined = mail.find(mailbox, textOf(args[1]));
  if (target === undefined) return undefined;
  const uids = picked.map(({ message }) => mail.add(target, message.octets, message.receivedAt, message.flags).uid);
  const sources = picked.map(({ message }) => message.uid).join(',');
  return { code: picked.length === 0 ? '[NOOP]' : `[COPYUID ${target.uidValidity} ${sources} ${uids.join(',')}]`, picked };
}

/** System flags in the spelling that SEARCH and responses use (RFC 3501 §2.3.2: case does not matter). */
export function canonicalFlag(flag: string): string {
  return flag.startsWith('\\') ? `\\${flag.slice(1, 2).toUpperCase()}${flag.slice(2).toLowerCase()}` : flag;
}
