/**
 * IMAP up to the login: the part of a session that the upstream never sees.
 *
 * Commands are served one at a time, in the order in which they came, whatever the segments they came in. A login that fails leaves the session where
 * it was. The command that logs in is the last one that is read here.
 *
 * Sources: RFC 9051 and RFC 3501 §6.1, §6.2 (commands before authentication), RFC 4959 (SASL-IR), RFC 7888 (LITERAL+), RFC 2971 (ID), RFC 5530 (codes).
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
import type { LoginVerdict } from '../policy/login-gate.ts';
import { inSeconds } from '../policy/login-gate.ts';
import { RejectionCounter } from '../policy/rejection-counter.ts';
import { decodeText, findServerMechanism, SERVER_MECHANISMS, startSaslExchange } from '../sasl/server.ts';
import { DialogueOver } from './app-connection.ts';
import { type Entry, type FrontDependencies, isProblem, LONGEST_LINE } from './front.ts';
import { literalAtEnd, splitWords } from './imap-words.ts';
import { imapCode, tell } from './refusals.ts';

/** User names and passwords are far shorter. */
const LONGEST_LITERAL = 4096;
/** A literal that is not asked for and comes all the same (RFC 7888 §4) is read and thrown away up to this. */
const LONGEST_DISCARD = 65_536;

/** Tag, verb and the rest of a command. A tag has any octet of an atom but `+` (RFC 9051 §9); in verbs nobody is strict about case. */
const COMMAND = /^([^\u0000-\u0020\u007f(){%*"\\+]{1,128}) +([A-Za-z][A-Za-z0-9]*)(?: (.*))?$/s;

export class ImapFront {
  readonly #deps: FrontDependencies;
  readonly #rejections = new RejectionCounter();

  constructor(deps: FrontDependencies) {
    this.#deps = deps;
  }

  /** @throws DialogueOver */
  async run(): Promise<Entry> {
    const code = this.#deps.quirks.capabilityInGreeting ? `[CAPABILITY ${this.#capabilities()}] ` : '';
    this.#say(`* OK ${code}Postern is ready`);
    for (;;) {
      const entry = await this.#serveCommand();
      if (entry !== undefined) return entry;
    }
  }

  /** Why the session ends, said where nothing else is expected. */
  static goodbye(why: string): string {
    return `* BYE ${why}`;
  }

  async #serveCommand(): Promise<Entry | undefined> {
    const line = await this.#readLine();
    if (line.trim() === '') return this.#countIdleTalk();
    if (/^(?:GET|POST|HEAD|CONNECT) \S+ HTTP\/1\.[01]$/.test(line)) return this.#hangUp('This is not a web server');
    const [, tag, verb, rest = ''] = COMMAND.exec(line) ?? [];
    if (tag === undefined || verb === undefined) {
      await this.#discardLiterals(line);
      return this.#reject('*', 'BAD That is not a command');
    }
    switch (verb.toUpperCase()) {
      case 'LOGIN':
        return this.#login(tag, rest);
      case 'AUTHENTICATE':
        return this.#authenticate(tag, rest);
      default:
        await this.#discardLiterals(line);
        return this.#serveSimple(tag, verb.toUpperCase());
    }
  }

  async #serveSimple(tag: string, verb: string): Promise<undefined> {
    switch (verb) {
      case 'CAPABILITY':
        return this.#idleTalk(`* CAPABILITY ${this.#capabilities()}`, `${tag} OK CAPABILITY completed`);
      case 'NOOP':
        return this.#idleTalk(`${tag} OK NOOP completed`);
      case 'ID':
        return this.#idleTalk('* ID ("name" "Postern")', `${tag} OK ID completed`);
      case 'LOGOUT':
        this.#say('* BYE Postern says goodbye', `${tag} OK LOGOUT completed`);
        throw new DialogueOver('done');
      case 'STARTTLS':
        return this.#startTls(tag);
      default:
        return this.#reject(tag, 'BAD Log in first');
    }
  }

  async #startTls(tag: string): Promise<undefined> {
    const { connection, starttls } = this.#deps;
    if (connection.isSecure) return this.#reject(tag, 'BAD TLS is active already');
    if (starttls === undefined) return this.#reject(tag, 'BAD STARTTLS is not offered');
    this.#say(`${tag} OK Begin TLS now`);
    await connection.startTls(starttls);
    return undefined;
  }

  async #login(tag: string, rest: string): Promise<Entry | undefined> {
    if (!this.#maySendPassword()) return this.#refuseClearText(tag, rest);
    const words = await this.#readWords(rest);
    const [username, password] = words ?? [];
    if (words?.length !== 2 || username === undefined || password === undefined) {
      return this.#reject(tag, 'BAD Syntax: LOGIN user-name password');
    }
    if (this.#deps.gate.isShut) return this.#hangUp('Too many failed logins');
    return this.#conclude(tag, await this.#check(asText(username), asText(password)));
  }

  /** @returns Undefined where the rest of the command is no list of words. Never more than three are read. */
  async #readWords(rest: string): Promise<string[] | undefined> {
    const words: string[] = [];
    let line = rest;
    for (;;) {
      const found = splitWords(line);
      if (found === undefined) {
        await this.#discardLiterals(line);
        return undefined;
      }
      words.push(...found.words);
      const { literal } = found;
      if (literal === undefined) return words;
      if (words.length >= 2 || literal.size > LONGEST_LITERAL) {
        await this.#discardLiterals(line);
        return undefined;
      }
      if (literal.isSynchronising) this.#say('+ Ready for it');
      words.push((await this.#deps.connection.readOctets(literal.size)).toString('latin1'));
      line = await this.#readLine();
      if (line !== '' && !line.startsWith(' ')) {
        await this.#discardLiterals(line);
        return undefined;
      }
    }
  }

  async #authenticate(tag: string, rest: string): Promise<Entry | undefined> {
    if (!this.#maySendPassword()) return this.#refuseClearText(tag, rest);
    const [name = '', initialResponse, ...more] = rest.split(' ').filter((word) => word !== '');
    const mechanism = findServerMechanism(name);
    if (more.length > 0 || name === '') return this.#reject(tag, 'BAD Syntax: AUTHENTICATE mechanism [initial-response]');
    if (mechanism === undefined) return this.#reject(tag, 'NO Mechanism not offered; use PLAIN or LOGIN');
    if (this.#deps.gate.isShut) return this.#hangUp('Too many failed logins');
    let step = startSaslExchange(mechanism, initialResponse);
    while (step.kind === 'challenge') {
      // RFC 9051 §7.6: a blank follows the plus even where nothing else does.
      this.#say(`+ ${step.challenge}`);
      step = step.answer((await this.#readLine()).trimEnd());
    }
    // RFC 9051 §6.2.2: BAD to a client that cancels.
    if (step.kind === 'cancelled') return this.#reject(tag, 'BAD Authentication cancelled');
    if (step.kind === 'malformed') return this.#reject(tag, 'BAD That is not a valid response of this mechanism');
    if (step.kind === 'unacceptable') return this.#conclude(tag, await this.#deps.gate.refuse(step.why));
    return this.#conclude(tag, await this.#deps.gate.check(step.username, step.password));
  }

  #check(username: string, password: string): Promise<LoginVerdict> {
    const { gate } = this.#deps;
    if (username === '' || password === '') return gate.refuse('empty user name or password');
    if (/[\u0000-\u001f\u007f-\u009f]/.test(username)) return gate.refuse('control character in the user name');
    return gate.check(username, password);
  }

  async #conclude(tag: string, verdict: LoginVerdict): Promise<Entry | undefined> {
    switch (verdict.kind) {
      case 'admitted':
        return this.#enter(tag, verdict.client);
      case 'busy':
        return this.#reject(tag, 'NO [UNAVAILABLE] Too many logins at once; try again');
      case 'throttled':
        return this.#reject(tag, `NO [UNAVAILABLE] Too many failed logins; try again in ${inSeconds(verdict.wait)} seconds`);
      default:
        return this.#reject(tag, 'NO [AUTHENTICATIONFAILED] User name or password is wrong');
    }
  }

  async #enter(tag: string, client: Client): Promise<Entry | undefined> {
    const entered = await this.#deps.enter(client);
    if (isProblem(entered)) return this.#reject(tag, `NO ${imapCode(entered)} ${tell(entered)}`);
    const { capabilities } = entered;
    const code = capabilities.length === 0 ? '' : `[CAPABILITY ${passedOn(capabilities).join(' ')}] `;
    return { mailbox: entered, answer: `${tag} OK ${code}Signed in\r\n` };
  }

  #maySendPassword(): boolean {
    return this.#deps.connection.isSecure || this.#deps.gate.mayUseClearText();
  }

  async #refuseClearText(tag: string, rest: string): Promise<undefined> {
    this.#deps.noteClearText();
    await this.#discardLiterals(rest);
    const how = this.#deps.starttls === undefined ? 'Passwords are not taken in clear text here' : 'Use STARTTLS first';
    return this.#reject(tag, `NO [PRIVACYREQUIRED] ${how}`);
  }

  #capabilities(): string {
    const { connection, starttls } = this.#deps;
    const mechanisms = SERVER_MECHANISMS.map((mechanism) => `AUTH=${mechanism}`);
    return [
      'IMAP4rev1',
      'SASL-IR',
      'LITERAL+',
      'ID',
      ...(starttls !== undefined && !connection.isSecure ? ['STARTTLS'] : []),
      ...(this.#maySendPassword() ? mechanisms : ['LOGINDISABLED']),
    ].join(' ');
  }

  /** What the application sends without being asked is part of its command, and must not be taken for the next one. */
  async #discardLiterals(line: string): Promise<void> {
    let rest = line;
    for (;;) {
      const literal = literalAtEnd(rest);
      // One that waits for our consent does not get it, and the command ends here.
      if (literal === undefined || literal.isSynchronising) return;
      if (literal.size > LONGEST_DISCARD) return this.#hangUp('Literal too long');
      await this.#deps.connection.readOctets(literal.size);
      rest = await this.#readLine();
    }
  }

  async #readLine(): Promise<string> {
    return (await this.#deps.connection.readLine(LONGEST_LINE)).toString('latin1');
  }

  #say(...lines: string[]): void {
    this.#deps.connection.say(...lines);
  }

  #idleTalk(...lines: string[]): undefined {
    if (this.#rejections.noteIdleTalk()) return this.#hangUp('Too many commands without a login');
    this.#say(...lines);
  }

  #countIdleTalk(): undefined {
    if (this.#rejections.noteIdleTalk()) return this.#hangUp('Too many commands without a login');
  }

  #reject(tag: string, answer: string): undefined {
    this.#say(`${tag} ${answer}`);
    if (this.#rejections.noteError()) return this.#hangUp('Too many commands were wrong');
  }

  #hangUp(why: string): never {
    this.#say(ImapFront.goodbye(why));
    throw new DialogueOver('done');
  }
}

const asText = (octets: string): string => decodeText(Buffer.from(octets, 'latin1'));

/**
 * The upstream's capabilities, without those that speak of signing in: that is over. COMPRESS would hide from us what is said, and with it where a session can be
 * ended with a word.
 */
function passedOn(capabilities: readonly string[]): string[] {
  return capabilities.filter((capability) => !/^(?:AUTH=|STARTTLS$|LOGINDISABLED$|SASL-IR$|COMPRESS=)/i.test(capability));
}
