/**
 * One IMAP session with the manners of Exchange Online (RFC 3501; SASL-IR, UIDPLUS, ID, UNSELECT, IDLE, NAMESPACE, LITERAL+, MOVE).
 *
 * Sources of the words: sessions with outlook.office365.com as users have published them.
 *
 * @packageDocumentation
 */
import { between, type EpochMs, milliseconds } from '../../core/clock.ts';
import { type MailboxFault, type MailboxStage } from '../faults.ts';
import { type Argument, ImapSyntaxError, itemsOf, LITERAL_MARK, parseArguments, textOf } from './imap-arguments.ts';
import { TooLongError } from './line-source.ts';
import { type Folder, specialUseOf } from './mail-store.ts';
import type { MailboxLogin, MailService } from './mail-service.ts';
import { canonicalFlag, expungeDeleted, KEEPS_NUMBERS, SELECTED_COMMANDS } from './selected-commands.ts';
import { SelectedFolder } from './selected-folder.ts';
import type { SessionWire } from './session-wire.ts';
import { nstring } from './structure.ts';

/** A command as it was sent. */
interface Command {
  readonly tag: string;
  /** Upper-case. */
  readonly name: string;
  /** What follows the name, with marks for the literals. */
  readonly text: string;
  readonly literals: readonly Buffer[];
}

type Handler = (command: Command, args: readonly Argument[]) => Promise<string>;

const MOST_LITERALS = 50;
const LONGEST_LITERAL_BEFORE_LOGIN = 4_096;
/** What Exchange takes in APPEND by default: 35 MB and what encoding adds. */
const LONGEST_LITERAL = 50 * 1024 * 1024;
const FLAGS = '\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent';
const FIRST_CAPABILITIES = 'IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+';
const LATER_CAPABILITIES = 'MOVE CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE';
const TOKEN_EXPIRED = '* BYE Session invalidated - AccessTokenExpired';
const NOT_CONNECTED = 'BAD User is authenticated but not connected.';
const WRONG_STATE = 'BAD Command received in Invalid state.';
const NO_FOLDER = "NO The requested folder doesn't exist.";

/** Talk to one client until either side ends. */
export const runImapSession = (wire: SessionWire, service: MailService): Promise<void> => new ImapSession(wire, service).run();

class ImapSession {
  readonly #wire: SessionWire;
  readonly #service: MailService;
  #login: MailboxLogin | undefined;
  #selected: SelectedFolder | undefined;

  readonly #always: ReadonlyMap<string, Handler>;
  readonly #signedIn: ReadonlyMap<string, Handler>;

  constructor(wire: SessionWire, service: MailService) {
    this.#wire = wire;
    this.#service = service;
    this.#always = new Map<string, Handler>([
      ['CAPABILITY', () => this.#untagged(`CAPABILITY ${this.#capabilities()}`, 'OK CAPABILITY completed.')],
      ['NOOP', () => Promise.resolve('OK NOOP completed.')],
      ['ID', () => this.#untagged('ID ("name" "Postern sandbox")', 'OK ID completed')],
      ['LOGIN', () => this.#refuseLogin()],
      ['AUTHENTICATE', (_, args) => this.#authenticate(args)],
    ]);
    this.#signedIn = new Map<string, Handler>([
      ['LIST', (_, args) => this.#list('LIST', args)],
      ['LSUB', (_, args) => this.#list('LSUB', args)],
      ['NAMESPACE', () => this.#untagged('NAMESPACE (("" "/")) NIL NIL', 'OK NAMESPACE completed.')],
      ['STATUS', (_, args) => this.#status(args)],
      ['SELECT', (_, args) => this.#select(args, false)],
      ['EXAMINE', (_, args) => this.#select(args, true)],
      ['CREATE', (_, args) => this.#create(args)],
      ['SUBSCRIBE', () => Promise.resolve('OK SUBSCRIBE completed.')],
      ['UNSUBSCRIBE', () => Promise.resolve('OK UNSUBSCRIBE completed.')],
      ['APPEND', (_, args) => this.#append(args)],
      ['IDLE', () => this.#idle()],
      ['CHECK', () => Promise.resolve(this.#selected === undefined ? WRONG_STATE : 'OK CHECK completed.')],
      ['CLOSE', () => this.#leave('CLOSE')],
      ['UNSELECT', () => this.#leave('UNSELECT')],
    ]);
  }

  async run(): Promise<void> {
    const fault = await this.#wire.fault('connect');
    if (fault !== undefined && (await this.#strike(fault, '*'))) return this.#wire.end('');
    const capability = this.#faults.greetingHasCapability ? `[CAPABILITY ${this.#capabilities()}] ` : '';
    await this.#wire.line(`* OK ${capability}The Microsoft Exchange IMAP4 service is ready. ${this.#service.hostMark()}`);
    try {
      for (;;) {
        const command = await this.#read();
        if (command === undefined || !(await this.#answer(command))) return;
      }
    } catch (error) {
      if (!(error instanceof TooLongError)) throw error;
      this.#wire.end('* BYE Connection is closed. 12');
    }
  }

  get #faults(): MailService['deps']['faults']['mailbox'] {
    return this.#service.deps.faults.mailbox;
  }

  #capabilities(): string {
    const first = this.#faults.offersXoauth2 ? FIRST_CAPABILITIES : FIRST_CAPABILITIES.replace(' AUTH=XOAUTH2', '');
    const special = this.#faults.offersSpecialUse ? ' SPECIAL-USE' : '';
    return `${first}${special}${this.#login === undefined ? '' : ` ${LATER_CAPABILITIES}`}`;
  }

  /** The next command with its literals; undefined at the end of the stream. @throws TooLongError */
  async #read(): Promise<Command | undefined> {
    const literals: Buffer[] = [];
    let line = await this.#wire.source.line();
    let whole = '';
    while (line !== undefined) {
      const clean = line.replaceAll(LITERAL_MARK, ' ');
      const [announcement, digits, plus] = /\{(\d{1,12})(\+?)\}$/.exec(clean) ?? [];
      if (announcement === undefined) {
        const [, tag = '*', name = '', text = ''] = /^(\S+) +(\S+) ?(.*)$/s.exec(whole + clean) ?? [];
        return { tag, name: name.toUpperCase(), text, literals };
      }
      const count = Number(digits);
      const most = this.#login === undefined ? LONGEST_LITERAL_BEFORE_LOGIN : LONGEST_LITERAL;
      if (count > most || literals.length >= MOST_LITERALS) throw new TooLongError('a literal is too long');
      if (plus === '') await this.#wire.line('+ Ready for additional command text.');
      const octets = await this.#wire.source.octets(count);
      if (octets === undefined) return undefined;
      literals.push(octets);
      whole += clean.slice(0, -announcement.length) + LITERAL_MARK;
      line = await this.#wire.source.line();
    }
    return undefined;
  }

  /** False where the session is over. */
  async #answer(command: Command): Promise<boolean> {
    const { tag, name } = command;
    if (this.#login !== undefined && this.#service.isOver(this.#login)) {
      this.#wire.end(TOKEN_EXPIRED);
      return false;
    }
    if (name === 'LOGOUT') {
      await this.#wire.line('* BYE Microsoft Exchange Server IMAP4 server signing off.');
      this.#wire.end(`${tag} OK LOGOUT completed.`);
      return false;
    }
    if (this.#login !== undefined && (await this.#isStruck('command', tag, name === 'UID' ? uidName(command) : name)))
      return this.#wire.isOpen;
    const response = await this.#respond(command);
    if (!this.#wire.isOpen || response === '') return false;
    await this.#wire.line(`${tag} ${response}`);
    if (response !== NOT_CONNECTED) return true;
    this.#wire.end('* BYE Connection closed. 14');
    return false;
  }

  /** `''`: the client or the session has ended meanwhile. */
  async #respond(command: Command): Promise<string> {
    try {
      const args = parseArguments(command.text, command.literals);
      const always = this.#always.get(command.name);
      if (always !== undefined) {
        const response = await always(command, args);
        if (command.name === 'NOOP') await this.#tellChanges();
        return response;
      }
      const isByUid = command.name === 'UID';
      const name = isByUid ? uidName(command).slice(4) : command.name;
      const [handler, selected] = [isByUid ? undefined : this.#signedIn.get(name), SELECTED_COMMANDS.get(name)];
      if (handler === undefined && selected === undefined) return 'BAD Command Error. 12';
      const { store, faults } = this.#service.deps;
      if (this.#login === undefined || (handler === undefined && this.#selected === undefined)) return WRONG_STATE;
      if (handler !== undefined) return await handler(command, args);
      if (selected === undefined || this.#selected === undefined) return WRONG_STATE;
      const context = { wire: this.#wire, selected: this.#selected, store, mailbox: this.#login.mailbox, faults: faults.mailbox };
      const response = await selected(context, isByUid ? args.slice(1) : args, isByUid);
      if (isByUid || !KEEPS_NUMBERS.has(name)) await this.#tellChanges();
      return response;
    } catch (error) {
      if (error instanceof ImapSyntaxError) return `BAD ${error.message}`;
      throw error;
    }
  }

  async #untagged(text: string, response: string): Promise<string> {
    await this.#wire.line(`* ${text}`);
    return response;
  }

  async #tellChanges(): Promise<void> {
    // In one piece: in IDLE the next change may come while this one is still being written.
    const lines = this.#selected?.changes() ?? [];
    if (lines.length > 0) await this.#wire.line(lines.join('\r\n'));
  }

  async #isStruck(stage: MailboxStage, tag: string, command: string): Promise<boolean> {
    const fault = await this.#wire.fault(stage, command);
    return fault !== undefined && this.#strike(fault, tag);
  }

  /** @returns True: the fault was the answer. */
  async #strike(fault: MailboxFault, tag: string): Promise<boolean> {
    switch (fault.kind) {
      case 'reply':
        await this.#wire.line(`${tag} ${fault.reply}`);
        break;
      case 'throttled':
        await this.#wire.line(`${tag} NO Request is throttled. Suggested Backoff Time: ${fault.milliseconds} milliseconds`);
        break;
      case 'not-connected':
        await this.#wire.line(`${tag} ${NOT_CONNECTED}`);
        this.#wire.end('* BYE Connection closed. 14');
        break;
      case 'expired':
        this.#wire.end(TOKEN_EXPIRED);
        break;
      default:
        break; // The wire is closed already.
    }
    return true;
  }

  async #refuseLogin(): Promise<string> {
    if (this.#login !== undefined) return WRONG_STATE;
    this.#service.refusePassword('imap', this.#wire.peer);
    return 'NO LOGIN failed.';
  }

  async #authenticate(args: readonly Argument[]): Promise<string> {
    if (this.#login !== undefined) return WRONG_STATE;
    const mechanism = textOf(args[0]).toUpperCase();
    const isKnown = mechanism === 'PLAIN' || (mechanism === 'XOAUTH2' && this.#faults.offersXoauth2);
    if (!isKnown) return 'NO Unsupported authentication mechanism.';
    const response = args[1] === undefined ? await this.#challenge('') : textOf(args[1]);
    if (response === undefined) return '';
    if (response === '*') return 'BAD The AUTH protocol exchange was canceled by the client.';
    if (mechanism === 'PLAIN') {
      this.#service.refusePassword('imap', this.#wire.peer);
      return 'NO AUTHENTICATE failed.';
    }
    const fault = await this.#wire.fault('auth');
    if (fault?.kind === 'throttled') return `NO Request is throttled. Suggested Backoff Time: ${fault.milliseconds} milliseconds`;
    if (fault?.kind === 'reply') return fault.reply;
    if (fault?.kind === 'not-connected') return NOT_CONNECTED;
    if (fault !== undefined) {
      this.#wire.end(fault.kind === 'expired' ? TOKEN_EXPIRED : '');
      return '';
    }
    const verdict = this.#service.signIn('imap', response, this.#wire.peer);
    if (verdict.kind === 'accepted') {
      this.#login = verdict;
      return 'OK AUTHENTICATE completed.';
    }
    if (verdict.kind === 'not-connected') return NOT_CONNECTED;
    if (this.#faults.tokenRefusal === 'challenge') await this.#challenge(REFUSAL_CHALLENGE);
    return 'NO AUTHENTICATE failed.';
  }

  async #challenge(base64: string): Promise<string | undefined> {
    await this.#wire.line(`+ ${base64}`);
    return this.#wire.source.line();
  }

  #folder(argument: Argument | undefined): Folder | undefined {
    return this.#service.deps.store.find(this.#mailbox, textOf(argument));
  }

  get #mailbox(): string {
    return this.#login?.mailbox ?? '';
  }

  async #list(name: 'LIST' | 'LSUB', args: readonly Argument[]): Promise<string> {
    // RFC 6154 §5.2 and RFC 5258: selection options in front, return options behind; attributes are sent where they are on anyway.
    const [reference, pattern] = Array.isArray(args[0]) ? args.slice(1) : args;
    const wanted = `${textOf(reference)}${textOf(pattern)}`;
    if (wanted === '') return this.#untagged(`${name} (\\Noselect \\HasNoChildren) "/" ""`, `OK ${name} completed.`);
    const escaped = wanted
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace(/\*+/g, '.*')
      .replace(/%+/g, '[^/]*');
    const matches = new RegExp(`^${escaped}$`, 'is');
    for (const { name: folder } of this.#service.deps.store.folders(this.#mailbox)) {
      if (!matches.test(folder)) continue;
      const special = this.#faults.offersSpecialUse ? specialUseOf(folder) : '';
      await this.#wire.line(`* ${name} (\\HasNoChildren${special === '' ? '' : ` ${special}`}) "/" ${nstring(folder)}`);
    }
    return `OK ${name} completed.`;
  }

  async #status(args: readonly Argument[]): Promise<string> {
    const folder = this.#folder(args[0]);
    if (folder === undefined) return NO_FOLDER;
    const messages = folder.list();
    const values = itemsOf(args[1]).map((item): string => {
      const name = textOf(item).toUpperCase();
      const counts = new Map([
        ['MESSAGES', messages.length],
        ['RECENT', 0],
        ['UIDNEXT', folder.uidNext],
        ['UIDVALIDITY', folder.uidValidity],
        ['UNSEEN', messages.filter(({ flags }) => !flags.has('\\Seen')).length],
      ]);
      const count = counts.get(name);
      if (count === undefined) throw new ImapSyntaxError('Command Argument Error. 23');
      return `${name} ${count}`;
    });
    return this.#untagged(`STATUS ${nstring(folder.name)} (${values.join(' ')})`, 'OK STATUS completed.');
  }

  async #select(args: readonly Argument[], isReadOnly: boolean): Promise<string> {
    this.#selected = undefined;
    const folder = this.#folder(args[0]);
    if (folder === undefined) return NO_FOLDER;
    const selected = new SelectedFolder(folder, isReadOnly);
    this.#selected = selected;
    const unseen = selected.all().find(({ message }) => !message.flags.has('\\Seen'));
    await this.#wire.line(`* ${selected.size} EXISTS`);
    await this.#wire.line('* 0 RECENT');
    await this.#wire.line(`* FLAGS (${FLAGS})`);
    await this.#wire.line(`* OK [PERMANENTFLAGS (${isReadOnly ? '' : FLAGS})] Permanent flags`);
    if (unseen !== undefined) await this.#wire.line(`* OK [UNSEEN ${unseen.number}] Is the first unseen message`);
    await this.#wire.line(`* OK [UIDVALIDITY ${folder.uidValidity}] UIDVALIDITY value`);
    await this.#wire.line(`* OK [UIDNEXT ${folder.uidNext}] The next unique identifier value`);
    return isReadOnly ? 'OK [READ-ONLY] EXAMINE completed.' : 'OK [READ-WRITE] SELECT completed.';
  }

  async #create(args: readonly Argument[]): Promise<string> {
    const made = this.#service.deps.store.create(this.#mailbox, textOf(args[0]).replace(/\/$/, ''));
    return made === undefined ? 'NO The folder could not be created.' : 'OK CREATE completed.';
  }

  async #append(args: readonly Argument[]): Promise<string> {
    const octets = args.at(-1);
    if (!Buffer.isBuffer(octets)) throw new ImapSyntaxError('Command Argument Error. 24');
    const folder = this.#folder(args[0]);
    if (folder === undefined) return 'NO [TRYCREATE] The requested folder could not be found.';
    const options = args.slice(1, -1);
    const flags = options
      .filter((option) => Array.isArray(option))
      .flatMap(itemsOf)
      .map(textOf)
      .map(canonicalFlag);
    const date = options.find((option) => typeof option === 'string');
    const { store, clock } = this.#service.deps;
    const at = date === undefined ? clock.now() : (Date.parse(textOf(date).trim().replace(/-/, ' ').replace(/-/, ' ')) as EpochMs);
    if (Number.isNaN(at)) throw new ImapSyntaxError('Command Argument Error. 25');
    const { uid } = store.add(folder, octets, at, flags);
    await this.#tellChanges();
    return `OK [APPENDUID ${folder.uidValidity} ${uid}] APPEND completed.`;
  }

  /** RFC 2177. The end of the token ends it, too. */
  async #idle(): Promise<string> {
    const { clock } = this.#service.deps;
    await this.#wire.line('+ IDLE accepted, awaiting DONE command.');
    await this.#tellChanges();
    const stop = this.#selected?.folder.onChange(() => void this.#tellChanges());
    const left = this.#login === undefined ? 0 : Math.max(0, between(clock.now(), this.#login.expiresAt));
    const expiry = clock.startTimer(milliseconds(left), () => this.#endIfOver(), { isBackground: true });
    try {
      const line = await this.#wire.source.line();
      if (line === undefined) return '';
      return line.toUpperCase() === 'DONE' ? 'OK IDLE completed.' : 'BAD Command Error. 13';
    } finally {
      expiry.cancel();
      stop?.();
    }
  }

  #endIfOver(): void {
    if (this.#login !== undefined && this.#service.isOver(this.#login)) this.#wire.end(TOKEN_EXPIRED);
  }

  async #leave(name: 'CLOSE' | 'UNSELECT'): Promise<string> {
    if (this.#selected === undefined) return WRONG_STATE;
    const { store } = this.#service.deps;
    if (name === 'CLOSE' && !this.#selected.isReadOnly) expungeDeleted(this.#selected, store, this.#selected.folder.list());
    this.#selected = undefined;
    return `OK ${name} completed.`;
  }
}

/** As Gmail sends it; Exchange sends none. */
const REFUSAL_CHALLENGE = Buffer.from(
  '{"status":"400","schemes":"bearer","scope":"https://outlook.office.com/IMAP.AccessAsUser.All"}',
).toString('base64');

/** `UID FETCH` of a command `UID`. */
const uidName = ({ text }: Command): string => `UID ${(text.split(' ')[0] ?? '').toUpperCase()}`;
