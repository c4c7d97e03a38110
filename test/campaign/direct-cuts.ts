/**
 * Direct delivery over connections that are cut at a random octet, on the application's side or on the provider's. An application that has read 250 must never
 * be wrong, one attempt must never arrive twice, and what arrives must be whole.
 *
 * Half of the cuts lie anywhere in a session, half near its end, where content, final dot and final reply are. Those at the provider's side are cut in the TLS
 * stream, so between and within records.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../src/core/ports/random.ts';
import { type Cut, FaultProxy, type Passed } from '../support/fault-proxy.ts';
import { seededRandom } from '../support/open-spool.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { CutLedger } from './cut-ledger.ts';
import { mailboxOf, PASSWORD, RelayLab } from './relay-lab.ts';

const ACCOUNTS = 10;
/** Octets at the end of a session in which half of the cuts lie. */
const END = 700;

/** `count` cuts, half of them at each side. */
export async function runDirectCuts({ count, seed, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const lab = await RelayLab.open({ accounts: ACCOUNTS, mode: 'direct' });
  const upstreamSide = await FaultProxy.open(lab.sandbox.smtp.port);
  try {
    const { port } = await lab.start({ smtpPort: upstreamSide.port });
    const appSide = await FaultProxy.open(port);
    try {
      const run = new CutRun(lab, appSide, seededRandom(seed));
      const lengths = await run.measure(upstreamSide);
      await run.cut(upstreamSide, lengths.upstream, Math.floor(count / 2), print);
      upstreamSide.plan = () => undefined;
      upstreamSide.dropAll();
      await run.cut(appSide, lengths.app, count - upstreamSide.cuts, print);
      appSide.plan = () => undefined;
      const isWell = await run.isWell();
      const counts = { 'cut upstream': upstreamSide.cuts, 'cut at the app': appSide.cuts, ...run.ledger.counts };
      return { counts, broken: [...run.ledger.broken(), ...(isWell ? [] : ['the relay no longer takes mail'])] };
    } finally {
      appSide.close();
    }
  } finally {
    upstreamSide.close();
    await lab.close();
  }
}

class CutRun {
  readonly ledger = new CutLedger();
  readonly #lab: RelayLab;
  readonly #appSide: FaultProxy;
  readonly #random: Random;
  #attempts = 0;

  constructor(lab: RelayLab, appSide: FaultProxy, random: Random) {
    this.#lab = lab;
    this.#appSide = appSide;
    this.#random = random;
    const { messages } = lab.sandbox;
    messages.onMessage(({ id, subject }) => this.ledger.received(subject, messages.content(id)?.toString('latin1') ?? ''));
  }

  /** How many octets a session with one message takes, on both sides. */
  async measure(upstreamSide: FaultProxy): Promise<{ readonly app: Passed; readonly upstream: Passed }> {
    const talk = SmtpTalk.plain(this.#appSide.port);
    const isAccepted = await this.#submit(talk, this.#lab.accounts[0] ?? '');
    const [app] = this.#appSide.passed();
    const [upstream] = upstreamSide.passed();
    talk.destroy();
    if (!isAccepted || app === undefined || upstream === undefined) throw new Error('the relay does not take mail before anything is cut');
    const lengths = { app: { ...app }, upstream: { ...upstream } };
    upstreamSide.dropAll();
    return lengths;
  }

  /** Submit, for all accounts at once, until the proxy has cut so many connections. */
  async cut(proxy: FaultProxy, lengths: Passed, count: number, print: (line: string) => void): Promise<void> {
    proxy.plan = () => this.#plan(lengths);
    const stride = Math.max(1, Math.floor(count / 5));
    let printed = 0;
    const work = async (account: string): Promise<void> => {
      for (let idle = 0; proxy.cuts < count; ) {
        const before = proxy.cuts;
        await this.#attempt(account);
        // An account that pauses after failures answers at once; without a wait this would be a busy loop.
        idle = proxy.cuts === before ? idle + 1 : 0;
        if (idle > 20) await pause(20);
        if (proxy.cuts < printed + stride) continue;
        printed = proxy.cuts;
        print(`${proxy.cuts} of ${count} cut, ${JSON.stringify(this.ledger.counts)}`);
      }
    };
    await Promise.all(this.#lab.accounts.flatMap((account) => [work(account), work(account)]));
  }

  /** Whether each account takes a message once nothing is cut any more, within half a minute. */
  async isWell(): Promise<boolean> {
    for (const account of this.#lab.accounts) {
      let isTaken = false;
      for (let tries = 0; tries < 300 && !isTaken; tries += 1) {
        isTaken = await this.#attempt(account);
        if (!isTaken) await pause(100);
      }
      if (!isTaken) return false;
    }
    return true;
  }

  #plan(lengths: Passed): Cut {
    const direction = this.#random.fraction() < 0.5 ? 'up' : 'down';
    const length = lengths[direction];
    const from = this.#random.fraction() < 0.5 ? 0 : Math.max(0, length - END);
    const after = from + Math.floor(this.#random.fraction() * (length + 1 - from));
    return { direction, after, manner: this.#random.fraction() < 0.5 ? 'reset' : 'close' };
  }

  /** One message on a connection of its own. Resolves with whether the application was told 250. */
  async #attempt(account: string): Promise<boolean> {
    const talk = SmtpTalk.plain(this.#appSide.port);
    try {
      return await this.#submit(talk, account);
    } finally {
      talk.destroy();
    }
  }

  async #submit(talk: SmtpTalk, account: string): Promise<boolean> {
    this.#attempts += 1;
    const id = `m${this.#attempts}`;
    const body = `${`${id} an ordinary line of text\r\n`.repeat(1 + Math.floor(this.#random.fraction() * 12))}the end of ${id}\r\n`;
    this.ledger.attempted(id, body);
    const address = mailboxOf(account);
    const login = Buffer.from(`\0${account}\0${PASSWORD}`).toString('base64');
    if (!(await talk.reply()).startsWith('220')) return false;
    for (const command of ['EHLO app.example', `AUTH PLAIN ${login}`, `MAIL FROM:<${address}>`, 'RCPT TO:<someone@example.test>']) {
      if (!(await talk.ask(command)).startsWith('2')) return false;
    }
    if (!(await talk.ask('DATA')).startsWith('354')) return false;
    talk.send(`From: ${address}\r\nSubject: ${id}\r\nMessage-ID: <${id}@app.example>\r\n\r\n${body}.\r\n`);
    const isAccepted = (await talk.reply()).startsWith('250');
    if (isAccepted) this.ledger.accepted(id);
    return isAccepted;
  }
}
