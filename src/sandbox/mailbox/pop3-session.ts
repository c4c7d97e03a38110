/**
 * One POP3 session with the manners of Exchange Online (RFC 1939, RFC 2449, RFC 5034 in its two-line form only).
 *
 * @packageDocumentation
 */
import type { MailboxFault } from '../faults.ts';
import { splitHeader } from './entity.ts';
import { TooLongError } from './line-source.ts';
import type { Folder, StoredMessage } from './mail-store.ts';
import type { MailboxLogin, MailService } from './mail-service.ts';
import type { SessionWire } from './session-wire.ts';

/** The maildrop as it was at the sign-in. */
interface Maildrop {
  readonly inbox: Folder;
  readonly messages: readonly StoredMessage[];
  /** Applied at QUIT only (RFC 1939 §6). */
  readonly deleted: Set<StoredMessage>;
}

const PROTOCOL_ERROR = '-ERR Protocol error. Connection is closed. 10';
const FAILED = '-ERR Authentication failure: unknown user name or bad password.';
const CAPABILITIES = ['TOP', 'UIDL', 'SASL PLAIN XOAUTH2', 'USER'];

/** Talk to one client until either side ends. */
export const runPop3Session = (wire: SessionWire, service: MailService): Promise<void> => new Pop3Session(wire, service).run();

class Pop3Session {
  readonly #wire: SessionWire;
  readonly #service: MailService;
  #login: MailboxLogin | undefined;
  #drop: Maildrop | undefined;

  constructor(wire: SessionWire, service: MailService) {
    this.#wire = wire;
    this.#service = service;
  }

  async run(): Promise<void> {
    const fault = await this.#wire.fault('connect');
    if (fault !== undefined) return this.#wire.end(this.#wordsOf(fault));
    await this.#wire.line(`+OK The Microsoft Exchange POP3 service is ready. ${this.#service.hostMark()}`);
    try {
      for (;;) {
        const line = await this.#wire.source.line();
        if (line === undefined || !(await this.#answer(line))) return;
      }
    } catch (error) {
      if (!(error instanceof TooLongError)) throw error;
      this.#wire.end(PROTOCOL_ERROR);
    }
  }

  /** False where the session is over. */
  async #answer(line: string): Promise<boolean> {
    const [verb = '', ...args] = line.split(' ');
    const name = verb.toUpperCase();
    if (this.#login !== undefined && this.#service.isOver(this.#login)) {
      this.#wire.cut(); // POP3 has no word for it.
      return false;
    }
    const fault = this.#drop === undefined ? undefined : await this.#wire.fault('command', name);
    if (fault !== undefined) return this.#strike(fault);
    if (name === 'QUIT') {
      this.#update();
      this.#wire.end('+OK Microsoft Exchange Server POP3 server signing off.');
      return false;
    }
    if (name === 'CAPA') await this.#listing('+OK', this.#capabilities());
    else if (this.#drop === undefined) return this.#authorize(name, args);
    else await this.#transact(this.#drop, name, args);
    return this.#wire.isOpen;
  }

  #capabilities(): readonly string[] {
    return this.#service.deps.faults.mailbox.offersXoauth2 ? CAPABILITIES : CAPABILITIES.map((one) => one.replace(' XOAUTH2', ''));
  }

  #wordsOf(fault: MailboxFault): string {
    if (fault.kind === 'reply') return fault.reply;
    if (fault.kind === 'throttled') return `-ERR Request is throttled. Suggested Backoff Time: ${fault.milliseconds} milliseconds`;
    return fault.kind === 'not-connected' ? FAILED : '';
  }

  async #strike(fault: MailboxFault): Promise<boolean> {
    const words = this.#wordsOf(fault);
    if (words === '') this.#wire.end('');
    else await this.#wire.line(words);
    return this.#wire.isOpen;
  }

  async #authorize(name: string, args: readonly string[]): Promise<boolean> {
    if (name === 'USER') await this.#wire.line('+OK');
    else if (name === 'PASS') {
      this.#service.refusePassword('pop3', this.#wire.peer);
      await this.#wire.line('-ERR Logon failure: unknown user name or bad password.');
    } else if (name === 'AUTH') return this.#auth(args);
    else await this.#wire.line('-ERR Command is not valid in this state.');
    return true;
  }

  async #auth([mechanism = '', initial]: readonly string[]): Promise<boolean> {
    const name = mechanism.toUpperCase();
    if (name === '') {
      await this.#listing('+OK', this.#service.deps.faults.mailbox.offersXoauth2 ? ['PLAIN', 'XOAUTH2'] : ['PLAIN']);
      return true;
    }
    const isXoauth2 = name === 'XOAUTH2' && this.#service.deps.faults.mailbox.offersXoauth2;
    if (!isXoauth2 && name !== 'PLAIN') {
      await this.#wire.line('-ERR Unsupported authentication mechanism.');
      return true;
    }
    if (initial !== undefined) return this.#over(PROTOCOL_ERROR);
    await this.#wire.line('+ ');
    const response = await this.#wire.source.line();
    if (response === undefined) return false;
    if (response === '*') await this.#wire.line('-ERR The AUTH protocol exchange was canceled by the client.');
    else if (isXoauth2) return this.#signIn(response);
    else {
      this.#service.refusePassword('pop3', this.#wire.peer);
      await this.#wire.line(FAILED);
    }
    return true;
  }

  async #signIn(response: string): Promise<boolean> {
    const fault = await this.#wire.fault('auth');
    if (fault !== undefined) return this.#strike(fault);
    const verdict = this.#service.signIn('pop3', response, this.#wire.peer);
    if (verdict.kind === 'too-long') return this.#over(PROTOCOL_ERROR);
    const inbox = verdict.kind === 'accepted' ? this.#service.deps.store.find(verdict.mailbox, 'INBOX') : undefined;
    if (verdict.kind !== 'accepted' || inbox === undefined) {
      if (this.#service.deps.faults.mailbox.tokenRefusal === 'challenge') {
        await this.#wire.line(`+ ${Buffer.from('{"status":"400","schemes":"bearer"}').toString('base64')}`);
        await this.#wire.source.line();
      }
      await this.#wire.line(FAILED);
      return true;
    }
    this.#login = verdict;
    this.#drop = { inbox, messages: inbox.list(), deleted: new Set() };
    await this.#wire.line('+OK User successfully authenticated.');
    return true;
  }

  #over(words: string): false {
    this.#wire.end(words);
    return false;
  }

  async #transact(drop: Maildrop, name: string, args: readonly string[]): Promise<void> {
    const number = Number(args[0]);
    const message = drop.messages[number - 1];
    const isThere = message !== undefined && !drop.deleted.has(message);
    const left = drop.messages.flatMap((one, index) => (drop.deleted.has(one) ? [] : [{ number: index + 1, message: one }]));
    switch (name) {
      case 'STAT':
        return this.#wire.line(`+OK ${left.length} ${left.reduce((sum, one) => sum + one.message.octets.length, 0)}`);
      case 'NOOP':
        return this.#wire.line('+OK');
      case 'RSET':
        drop.deleted.clear();
        return this.#wire.line('+OK');
      case 'LIST':
      case 'UIDL': {
        const show = (one: StoredMessage): string | number =>
          name === 'LIST' ? one.octets.length : `${drop.inbox.uidValidity}-${one.uid}`;
        if (args.length === 0)
          return this.#listing(
            `+OK ${left.length}`,
            left.map((one) => `${one.number} ${show(one.message)}`),
          );
        return this.#wire.line(isThere ? `+OK ${number} ${show(message)}` : NO_MESSAGE);
      }
      case 'RETR':
        return isThere ? this.#content(message.octets) : this.#wire.line(NO_MESSAGE);
      case 'TOP':
        return isThere ? this.#content(topOf(message.octets, Number(args[1] ?? 0))) : this.#wire.line(NO_MESSAGE);
      case 'DELE':
        if (isThere) drop.deleted.add(message);
        return this.#wire.line(isThere ? '+OK' : NO_MESSAGE);
      default:
        return this.#wire.line('-ERR Protocol error. 14');
    }
  }

  async #listing(head: string, lines: readonly string[]): Promise<void> {
    await this.#wire.line([head, ...lines, '.'].join('\r\n'));
  }

  async #content(octets: Buffer): Promise<void> {
    await this.#wire.line(`+OK`);
    // RFC 1939 §3: lines that start with a dot get another one.
    const text = octets.toString('latin1').replace(/(^|\r\n)\./g, '$1..');
    await this.#wire.line(`${text}${text === '' || text.endsWith('\r\n') ? '' : '\r\n'}.`);
  }

  #update(): void {
    if (this.#drop === undefined) return;
    for (const message of this.#drop.deleted) this.#service.deps.store.remove(this.#drop.inbox, message);
  }
}

const NO_MESSAGE = '-ERR The requested message does not exist.';

/** Header and the first `count` lines of the body. */
function topOf(octets: Buffer, count: number): Buffer {
  const { header, body } = splitHeader(octets);
  let end = 0;
  for (let line = 0; line < count && end < body.length; line += 1) {
    const next = body.indexOf('\n', end);
    end = next === -1 ? body.length : next + 1;
  }
  return Buffer.concat([header, body.subarray(0, end)]);
}
