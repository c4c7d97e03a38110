/**
 * Sets Postern up from inside: the commands `login`, `doctor` and `send-test`, and the editor of the configuration, for the admin page.
 *
 * Each works on the configuration as it is in the file, as the commands do; what a sign-in stores, the relay notices by itself.
 *
 * @packageDocumentation
 */
import { randomBytes } from 'node:crypto';
import { type Config, describeFinding, type LoadResult } from '../config/config.ts';
import type { ItemChange } from '../config/edit.ts';
import type { Account } from '../core/account.ts';
import {
  type AccountChanges,
  type AccountDraft,
  type ClientDraft,
  type ConfigDocument,
  type ConfigEdit,
  type ConfiguredAccount,
  type ExaminationStep,
  type NewClient,
  type Setup,
  SIGN_IN_WAYS,
  type SignInOffer,
  type SignInView,
  type SignInWay,
  type TestMessage,
} from '../core/ports/setup.ts';
import type { Clock } from '../core/ports/clock.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { Scrubber } from '../observability/scrubber.ts';
import { hashPassword } from '../platform/password.ts';
import { signInAccount } from '../token/sign-in/sign-in.ts';
import { ConfigWriter, type ConfigWriterOptions, type PlannedEdit, secretPath, writeSecret } from './config-writer.ts';
import { RunningSignIn } from './running-sign-in.ts';
import { signIn } from './sign-in.ts';

/** What the desk needs. */
export interface SetupDeskOptions extends ConfigWriterOptions {
  readonly scrubber: Scrubber;
  readonly clock: Clock;
}

const MOST_SIGN_INS = 20;
const PASSWORD_OCTETS = 18;

export class SetupDesk implements Setup {
  readonly #options: SetupDeskOptions;
  readonly #writer: ConfigWriter;
  /** By id, the newest at the end. */
  readonly #signIns = new Map<string, RunningSignIn>();

  constructor(options: SetupDeskOptions) {
    this.#options = options;
    this.#writer = new ConfigWriter(options);
  }

  async providers(): Promise<readonly string[]> {
    return (await this.#writer.current()).providers;
  }

  async addAccount(draft: AccountDraft, isTrial: boolean): Promise<ConfigEdit> {
    const { name, provider, mailbox, grant, tenant, clientId } = literal(draft);
    const { clientSecret } = draft;
    const { accounts, state } = await this.#writer.current();
    if (accounts.some((account) => account.name === name)) throw invalid(`there is an account ${name} already`);
    const auth = { grant, ...(tenant === undefined ? {} : { tenant }), clientId };
    const about = { name, provider, mailbox };
    const add =
      (item: Readonly<Record<string, unknown>>): PlannedEdit['edit'] =>
      (editor, text) =>
        editor.addItem(text, 'accounts', item);
    if (clientSecret === undefined) return this.#writer.change({ edit: add({ ...about, auth }) }, isTrial);
    const edit = (reference: string): PlannedEdit['edit'] => add({ ...about, auth: { ...auth, clientSecret: reference } });
    return this.#writer.change(this.#withSecret(state.dir, name, clientSecret, edit), isTrial);
  }

  async account(name: string): Promise<ConfiguredAccount> {
    const { account } = await this.#find(name);
    const { provider, mailbox, auth } = account;
    const about = { name, provider: provider.name, mailbox, grant: auth.grant };
    const isProven = 'clientSecret' in auth && auth.clientSecret !== undefined;
    return {
      ...about,
      ...('tenant' in auth ? { tenant: auth.tenant } : {}),
      ...('clientId' in auth ? { clientId: auth.clientId } : {}),
      hasClientSecret: isProven,
    };
  }

  async editAccount(name: string, changes: AccountChanges, isTrial: boolean): Promise<ConfigEdit> {
    const { accounts, state } = await this.#writer.current();
    if (!accounts.some((account) => account.name === name)) throw noAccount(name);
    const { clientSecret, ...others } = changes;
    const texts = Object.entries(literal(others)).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
    const wanted = texts.map(([key, value]): ItemChange => [key === 'provider' || key === 'mailbox' ? [key] : ['auth', key], value]);
    const edit =
      (secret: readonly ItemChange[]): PlannedEdit['edit'] =>
      (editor, text) =>
        editor.editItem(text, 'accounts', name, [...wanted, ...secret]);
    if (clientSecret === undefined) return this.#writer.change({ edit: edit([]) }, isTrial);
    const withSecret = (reference: string): PlannedEdit['edit'] => edit([[['auth', 'clientSecret'], reference]]);
    return this.#writer.change(this.#withSecret(state.dir, name, clientSecret, withSecret), isTrial);
  }

  /** @param edit - With a reference to the secret, which goes into a file of its own. */
  #withSecret(stateDir: string, account: string, secret: string, edit: (reference: string) => PlannedEdit['edit']): PlannedEdit {
    // A name has no character that would lead out of the folder: the check of the configuration comes first.
    const file = `${account}.client-secret`;
    this.#options.scrubber.add(secret);
    return {
      edit: edit(`\${file:${secretPath(stateDir, file)}}`),
      checked: edit(literal({ secret }).secret),
      before: () => writeSecret(stateDir, file, secret),
    };
  }

  async addClient(draft: ClientDraft, isTrial: boolean): Promise<NewClient> {
    const { name, account, username, networks = [] } = literal(draft);
    const { accounts, clients } = await this.#writer.current();
    if (clients.some((client) => client.name === name)) throw invalid(`there is a client ${name} already`);
    if (!accounts.some((known) => known.name === account)) throw noAccount(account);
    const { password, passwordHash } = await this.#newPassword();
    const login = username === undefined ? {} : { username, passwordHash };
    const item = { name, ...login, ...(networks.length === 0 ? {} : { networks }), account };
    const edit = await this.#writer.change({ edit: (editor, text) => editor.addItem(text, 'clients', item) }, isTrial);
    return { ...edit, ...(edit.isWritten && username !== undefined ? { password } : {}) };
  }

  async resetPassword(client: string): Promise<NewClient> {
    const { clients } = await this.#writer.current();
    const known = clients.find(({ name }) => name === client);
    if (known?.login === undefined) throw invalid(`there is no client ${client} with a user name`);
    const { password, passwordHash } = await this.#newPassword();
    const edit = await this.#writer.change({ edit: (editor, text) => editor.replacePassword(text, client, passwordHash) }, false);
    return { ...edit, password };
  }

  config(): Promise<ConfigDocument> {
    return this.#writer.document();
  }

  async #newPassword(): Promise<{ readonly password: string; readonly passwordHash: string }> {
    const password = randomBytes(PASSWORD_OCTETS).toString('base64url');
    this.#options.scrubber.add(password);
    return { password, passwordHash: await hashPassword(password) };
  }

  /** Nobody is waited for any more. */
  async close(): Promise<void> {
    await Promise.all([...this.#signIns.values()].map((running) => running.end()));
  }

  async offer(name: string): Promise<SignInOffer> {
    const { account } = await this.#find(name);
    const { smtpUser: user, provider } = signInAccount(account);
    const ways = SIGN_IN_WAYS.filter((way) => (way === 'device' ? provider.deviceUrl : provider.authorizeUrl) !== undefined);
    return { user, ways };
  }

  async startSignIn(name: string, way: SignInWay, ended: (view: SignInView) => void = () => undefined): Promise<SignInView> {
    const { config, account } = await this.#find(name);
    await this.#endOthers(name);
    const { scrubber, clock } = this.#options;
    const id = randomBytes(12).toString('hex');
    const running = new RunningSignIn(id, name, way, { clock, scrub: (text) => scrubber.scrub(text) });
    this.#signIns.set(id, running);
    for (const [oldest, older] of this.#signIns) {
      if (this.#signIns.size <= MOST_SIGN_INS) break;
      void older.end();
      this.#signIns.delete(oldest);
    }
    running.follow(signIn(config, account, { way }, running, running.clock), ended);
    await running.shown;
    return running.view;
  }

  /** One in a browser holds the port that the next one needs. */
  async #endOthers(account: string): Promise<void> {
    for (const running of this.#signIns.values()) {
      if (running.view.account !== account) continue;
      const ended = running.end();
      if (running.view.way === 'browser') await ended;
    }
  }

  async endSignIn(id: string): Promise<void> {
    await this.#signIns.get(id)?.end();
  }

  signIn(id: string): SignInView | undefined {
    return this.#signIns.get(id)?.view;
  }

  paste(id: string, address: string): SignInView | undefined {
    const running = this.#signIns.get(id);
    running?.bring(address);
    return running?.view;
  }

  async examine(name: string): Promise<AsyncIterable<ExaminationStep>> {
    const { config, account, notices } = await this.#find(name);
    const { examine } = await import('./doctor.ts');
    return told<ExaminationStep>((tell) => examine(config, notices, [account], { account: () => undefined, outcome: tell }));
  }

  async sendTest(name: string, to: string): Promise<TestMessage> {
    const { config, account } = await this.#find(name);
    const { submitTest } = await import('./send-test.ts');
    return submitTest(config, account, to);
  }

  async #find(
    name: string,
  ): Promise<{ readonly config: Config; readonly account: Account; readonly notices: Extract<LoadResult, { ok: true }>['notices'] }> {
    const loaded = await this.#options.load();
    if (!loaded.ok) throw invalid(`${loaded.source} cannot be used: ${loaded.problems.map(describeFinding).join('; ')}`);
    const account = loaded.config.accounts.find((known) => known.name === name);
    if (account === undefined) throw noAccount(name);
    return { config: loaded.config, account, notices: loaded.notices };
  }
}

/** What `work` tells, as it tells it; and its failure at the end, if it fails. */
function told<Item>(work: (tell: (item: Item) => void) => Promise<unknown>): AsyncIterable<Item> {
  return new ReadableStream<Item>({
    start: (controller) => {
      work((item) => controller.enqueue(item)).then(
        () => controller.close(),
        (error: unknown) => controller.error(error),
      );
    },
  });
}

/** Texts that stand for themselves: whoever fills in a form has no business with the files that a reference could name. */
function literal<Draft extends object>(draft: Draft): Draft {
  const escaped = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replaceAll('${', '$$${');
    return Array.isArray(value) ? value.map(escaped) : value;
  };
  return Object.fromEntries(Object.entries(draft).map(([key, value]) => [key, escaped(value)])) as Draft;
}

const invalid = (cause: string): ProblemError => new ProblemError(problem('API_REQUEST_INVALID', cause));
const noAccount = (name: string): ProblemError => invalid(`there is no account ${name} in the configuration`);
