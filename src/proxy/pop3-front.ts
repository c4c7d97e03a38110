/**
 * POP3 up to the login: the part of a session that the upstream never sees.
 *
 * Commands are served one at a time, in the order in which they came. The command that logs in is the last one that is read here.
 *
 * Sources: RFC 1939 §4, §7 (USER, PASS), RFC 2449 (CAPA), RFC 2595 §4 (STLS), RFC 5034 (AUTH), RFC 3206 (codes); RFC 1734 for AUTH without a mechanism, with
 * which old mail programs ask for a list.
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
import { inSeconds, type LoginVerdict } from '../policy/login-gate.ts';
import { RejectionCounter } from '../policy/rejection-counter.ts';
import { decodeText, findServerMechanism, SERVER_MECHANISMS, startSaslExchange } from '../sasl/server.ts';
import { DialogueOver } from './app-connection.ts';
import { type Entry, type FrontDependencies, isProblem, LONGEST_LINE } from './front.ts';
import { pop3Code, tell } from './refusals.ts';

export class Pop3Front {
  readonly #deps: FrontDependencies;
  readonly #rejections = new RejectionCounter();
  /** From USER; PASS comes next (RFC 1939 §7). */
  #username: string | undefined;

  constructor(deps: FrontDependencies) {
    this.#deps = deps;
  }

  /** @throws DialogueOver */
  async run(): Promise<Entry> {
    // No timestamp in angle brackets: that would offer APOP (RFC 1939 §7).
    this.#say('+OK Postern is ready');
    for (;;) {
      const entry = await this.#serveCommand();
      if (entry !== undefined) return entry;
    }
  }

  /** Why the session ends, said where nothing else is expected. */
  static goodbye(why: string): string {
    return `-ERR [SYS/TEMP] ${why}`;
  }

  async #serveCommand(): Promise<Entry | undefined> {
    const line = await this.#readLine();
    const [, verb = '', , rest = ''] = /^([A-Za-z]*)( (.*))?$/s.exec(line) ?? [];
    switch (verb.toUpperCase()) {
      case 'USER':
        return this.#user(rest);
      case 'PASS':
        return this.#pass(rest);
      case 'AUTH':
        return this.#auth(rest);
      case 'CAPA':
        return this.#idleTalk('+OK Capabilities follow', ...this.#capabilities(), '.');
      case 'STLS':
        return this.#startTls();
      case 'QUIT':
        this.#say('+OK Postern says goodbye');
        throw new DialogueOver('done');
      default:
        return line.trim() === '' ? this.#countIdleTalk() : this.#reject('Log in first');
    }
  }

  #user(name: string): undefined {
    if (!this.#maySendPassword()) return this.#refuseClearText();
    if (name.trim() === '') return this.#reject('Syntax: USER name');
    this.#username = name;
    this.#idleTalk('+OK Now the password');
  }

  /** RFC 1939 §7: blanks are part of the password. */
  async #pass(password: string): Promise<Entry | undefined> {
    if (!this.#maySendPassword()) return this.#refuseClearText();
    const username = this.#username;
    this.#username = undefined;
    if (username === undefined) return this.#reject('USER comes first');
    const { gate } = this.#deps;
    if (gate.isShut) return this.#hangUp();
    if (password === '') return this.#conclude(await gate.refuse('empty user name or password'));
    const name = asText(username);
    if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return this.#conclude(await gate.refuse('control character in the user name'));
    return this.#conclude(await gate.check(name, asText(password)));
  }

  async #auth(rest: string): Promise<Entry | undefined> {
    const [name, initialResponse, ...more] = rest.split(' ').filter((word) => word !== '');
    if (name === undefined) return this.#idleTalk('+OK Mechanisms follow', ...(this.#maySendPassword() ? SERVER_MECHANISMS : []), '.');
    if (!this.#maySendPassword()) return this.#refuseClearText();
    const mechanism = findServerMechanism(name);
    if (more.length > 0) return this.#reject('Syntax: AUTH mechanism [initial-response]');
    if (mechanism === undefined) return this.#reject('Mechanism not offered; use PLAIN or LOGIN');
    const { gate } = this.#deps;
    if (gate.isShut) return this.#hangUp();
    let step = startSaslExchange(mechanism, initialResponse);
    while (step.kind === 'challenge') {
      // RFC 5034 §4: a blank follows the plus even where nothing else does.
      this.#say(`+ ${step.challenge}`);
      step = step.answer((await this.#readLine()).trimEnd());
    }
    if (step.kind === 'cancelled') return this.#reject('Authentication cancelled');
    if (step.kind === 'malformed') return this.#reject('That is not a valid response of this mechanism');
    if (step.kind === 'unacceptable') return this.#conclude(await gate.refuse(step.why));
    return this.#conclude(await gate.check(step.username, step.password));
  }

  async #startTls(): Promise<undefined> {
    const { connection, starttls } = this.#deps;
    if (connection.isSecure) return this.#reject('TLS is active already');
    if (starttls === undefined) return this.#reject('STLS is not offered');
    this.#say('+OK Begin TLS now');
    this.#username = undefined;
    await connection.startTls(starttls);
    return undefined;
  }

  async #conclude(verdict: LoginVerdict): Promise<Entry | undefined> {
    switch (verdict.kind) {
      case 'admitted':
        return this.#enter(verdict.client);
      case 'busy':
        return this.#reject('[SYS/TEMP] Too many logins at once; try again');
      case 'throttled':
        return this.#reject(`[SYS/TEMP] Too many failed logins; try again in ${inSeconds(verdict.wait)} seconds`);
      default:
        return this.#reject('[AUTH] User name or password is wrong');
    }
  }

  async #enter(client: Client): Promise<Entry | undefined> {
    const entered = await this.#deps.enter(client);
    if (isProblem(entered)) return this.#reject(`${pop3Code(entered)} ${tell(entered)}`);
    return { mailbox: entered, answer: '+OK Signed in\r\n' };
  }

  /** PIPELINING is not announced: the upstream, which the application talks to afterwards, may not have it. */
  #capabilities(): string[] {
    const { connection, starttls } = this.#deps;
    return [
      'TOP',
      'UIDL',
      'RESP-CODES',
      'AUTH-RESP-CODE',
      ...(this.#maySendPassword() ? ['USER', `SASL ${SERVER_MECHANISMS.join(' ')}`] : []),
      ...(starttls !== undefined && !connection.isSecure ? ['STLS'] : []),
      'IMPLEMENTATION Postern',
    ];
  }

  #maySendPassword(): boolean {
    return this.#deps.connection.isSecure || this.#deps.gate.mayUseClearText();
  }

  #refuseClearText(): undefined {
    this.#deps.noteClearText();
    return this.#reject(this.#deps.starttls === undefined ? 'Passwords are not taken in clear text here' : 'Use STLS first');
  }

  async #readLine(): Promise<string> {
    return (await this.#deps.connection.readLine(LONGEST_LINE)).toString('latin1');
  }

  #say(...lines: string[]): void {
    this.#deps.connection.say(...lines);
  }

  #idleTalk(...lines: string[]): undefined {
    if (this.#rejections.noteIdleTalk()) this.#endFor('Too many commands without a login');
    this.#say(...lines);
  }

  #countIdleTalk(): undefined {
    if (this.#rejections.noteIdleTalk()) this.#endFor('Too many commands without a login');
  }

  #reject(answer: string): undefined {
    if (this.#rejections.noteError()) this.#endFor('Too many commands were wrong');
    this.#say(`-ERR ${answer}`);
  }

  #hangUp(): never {
    return this.#endFor('Too many failed logins');
  }

  #endFor(why: string): never {
    this.#say(Pop3Front.goodbye(why));
    throw new DialogueOver('done');
  }
}

const asText = (octets: string): string => decodeText(Buffer.from(octets, 'latin1'));
