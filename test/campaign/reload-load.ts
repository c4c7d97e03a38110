/**
 * Applications that go on submitting and reading while the configuration changes: messages on new and on kept connections, in clear text and in TLS, and sessions
 * that wait in IDLE.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../src/core/ports/random.ts';
import { ImapTalk } from '../support/imap-talk.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { CutLedger } from './cut-ledger.ts';
import { type ReloadLab, ROTATED, UNTOUCHED } from './reload-lab.ts';
import { mailboxOf, PASSWORD } from './relay-lab.ts';

/** IMAP sessions of each account that nobody touches. */
const READERS = 3;
/** An answer that takes longer will not come. */
const PATIENCE = 60_000;
/** Failures that are told in words. */
const TOLD = 5;

export interface LoadCounts {
  messages: number;
  failed: number;
  'messages of rotated accounts': number;
  'failed of rotated accounts': number;
  'kept connections dropped': number;
  'IMAP sessions': number;
  'IMAP sessions dropped': number;
  'IMAP probes': number;
}

export class ReloadLoad {
  readonly ledger = new CutLedger();
  readonly counts: LoadCounts = {
    messages: 0,
    failed: 0,
    'messages of rotated accounts': 0,
    'failed of rotated accounts': 0,
    'kept connections dropped': 0,
    'IMAP sessions': 0,
    'IMAP sessions dropped': 0,
    'IMAP probes': 0,
  };
  /** The first failures, in words. */
  readonly told: string[] = [];
  readonly #lab: ReloadLab;
  readonly #random: Random;
  readonly #work: Promise<void>[] = [];
  #isOver = false;
  #attempts = 0;

  constructor(lab: ReloadLab, random: Random) {
    this.#lab = lab;
    this.#random = random;
    const { messages } = lab.sandbox;
    messages.onMessage(({ id, subject }) => this.ledger.received(subject, messages.content(id)?.toString('latin1') ?? ''));
  }

  /** Resolves once each IMAP session waits and each kept connection has logged in. */
  async start(): Promise<void> {
    const untouched = UNTOUCHED.map(([name]) => name);
    const readers = untouched.flatMap((name) => Array.from({ length: READERS }, () => name));
    const sessions = await Promise.all(readers.map((name) => this.#openReader(name)));
    const kept = await Promise.all(untouched.map(async (name) => [name, await this.#logIn(this.#clear(), name)] as const));
    const [first = ''] = untouched;
    const keptInTls = await this.#logIn(SmtpTalk.tls(this.#lab.ports.smtps, this.#lab.caPem), first);
    this.#work.push(
      ...sessions.map((session) => this.#read(session)),
      ...[...kept, [first, keptInTls] as const].map(([name, talk]) => this.#submitOnKept(name, talk)),
      ...[...untouched, ...ROTATED].map((name) => this.#submitOnNew(name)),
    );
  }

  /** Resolves once the last attempt has had its answer. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#work);
  }

  /** Wait until all that was promised has arrived. */
  async drain(): Promise<void> {
    const until = performance.now() + PATIENCE;
    while (this.ledger.counts['false 250'] > 0 && performance.now() < until) await pause(100);
  }

  /** One message on a connection of its own. @returns `250`, or what stood in the way. */
  async attempt(account: string): Promise<string> {
    const talk = this.#clear();
    try {
      const login = await this.#logInOn(talk, account);
      return login ?? (await this.#submit(talk, account));
    } finally {
      talk.destroy();
    }
  }

  #clear(): SmtpTalk {
    return SmtpTalk.plain(this.#lab.ports.smtp);
  }

  async #submitOnNew(account: string): Promise<void> {
    while (!this.#isOver) {
      this.#count(account, await this.attempt(account));
      await this.#breathe();
    }
  }

  async #submitOnKept(account: string, first: SmtpTalk): Promise<void> {
    let talk = first;
    while (!this.#isOver) {
      const answer = await this.#submit(talk, account);
      this.#count(account, answer);
      if (answer !== '250') {
        this.counts['kept connections dropped'] += 1;
        talk.destroy();
        const next = this.#clear();
        talk = next;
        // The relay may be away for a while where somebody restarts it.
        if ((await this.#logInOn(next, account)) !== undefined) await pause(200);
      }
      await this.#breathe();
    }
    talk.destroy();
  }

  async #read(session: ImapTalk): Promise<void> {
    while (!this.#isOver) {
      const trouble = await this.#probe(session);
      if (trouble === undefined) continue;
      this.counts['IMAP sessions dropped'] += 1;
      this.#tell(`an IMAP session: ${trouble}`);
      break;
    }
    session.destroy();
  }

  /** IDLE for a while, DONE, and a NOOP that the provider answers. @returns What is wrong. */
  async #probe(session: ImapTalk): Promise<string | undefined> {
    session.send('i1 IDLE');
    const begun = await inTime(session.until(/^\+ |^i1 /));
    if (!begun.includes('+ ')) return begun;
    const idle = 200 + this.#random.fraction() * 1_500;
    for (let waited = 0; waited < idle && !this.#isOver && !session.isClosed; waited += 100) await pause(100);
    session.send('DONE');
    const done = await inTime(session.until(/^i1 /));
    if (!/^i1 OK/m.test(done)) return done;
    const noop = await inTime(session.ask('NOOP'));
    if (!/^t\d+ OK/m.test(noop)) return noop;
    this.counts['IMAP probes'] += 1;
    return undefined;
  }

  async #openReader(account: string): Promise<ImapTalk> {
    const session = new ImapTalk(this.#lab.ports.imap);
    await session.until(/^\* OK/);
    const answers = [await session.ask(`LOGIN ${account} ${PASSWORD}`), await session.ask('SELECT INBOX')];
    if (answers.some((answer) => !/^t\d+ OK/m.test(answer))) throw new Error(`no IMAP session before anything changes: ${answers.join()}`);
    this.counts['IMAP sessions'] += 1;
    return session;
  }

  async #logIn(talk: SmtpTalk, account: string): Promise<SmtpTalk> {
    const trouble = await this.#logInOn(talk, account);
    if (trouble !== undefined) throw new Error(`no login before anything changes: ${trouble}`);
    return talk;
  }

  /** @returns What stood in the way. */
  async #logInOn(talk: SmtpTalk, account: string): Promise<string | undefined> {
    const greeting = await inTime(talk.reply());
    if (!greeting.startsWith('220')) return greeting;
    const login = Buffer.from(`\0${account}\0${PASSWORD}`).toString('base64');
    for (const command of ['EHLO app.example', `AUTH PLAIN ${login}`]) {
      const reply = await inTime(talk.ask(command));
      if (!reply.startsWith('2')) return reply;
    }
    return undefined;
  }

  /** @returns `250`, or what stood in the way. */
  async #submit(talk: SmtpTalk, account: string): Promise<string> {
    this.#attempts += 1;
    const id = `m${this.#attempts}`;
    const body = `${`${id} an ordinary line of text\r\n`.repeat(1 + Math.floor(this.#random.fraction() * 20))}the end of ${id}\r\n`;
    this.ledger.attempted(id, body);
    const address = mailboxOf(account);
    for (const [command, expected] of [
      [`MAIL FROM:<${address}>`, '2'],
      ['RCPT TO:<someone@example.test>', '2'],
      ['DATA', '354'],
    ] as const) {
      const reply = await inTime(talk.ask(command));
      if (!reply.startsWith(expected)) return reply;
    }
    talk.send(`From: ${address}\r\nSubject: ${id}\r\nMessage-ID: <${id}@app.example>\r\n\r\n${body}.\r\n`);
    const reply = await inTime(talk.reply());
    if (!reply.startsWith('250')) return reply;
    this.ledger.accepted(id);
    return '250';
  }

  #count(account: string, answer: string): void {
    const isRotated = (ROTATED as readonly string[]).includes(account);
    this.counts[isRotated ? 'messages of rotated accounts' : 'messages'] += 1;
    if (answer === '250') return;
    this.counts[isRotated ? 'failed of rotated accounts' : 'failed'] += 1;
    this.#tell(`${account}: ${answer}`);
  }

  #tell(what: string): void {
    if (this.told.length < TOLD) this.told.push(what);
  }

  #breathe(): Promise<void> {
    return pause(50 + this.#random.fraction() * 200);
  }
}

/** What comes, or that nothing came. */
async function inTime(answer: Promise<string>): Promise<string> {
  const ended = new AbortController();
  try {
    return await Promise.race([answer, pause(PATIENCE, 'no answer', { signal: ended.signal })]);
  } finally {
    ended.abort();
  }
}
