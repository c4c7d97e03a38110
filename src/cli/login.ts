/**
 * `postern login ACCOUNT`: somebody signs in as the mailbox, and Postern keeps the refresh token. With `--link`, its owner does so elsewhere.
 *
 * @packageDocumentation
 */
import { type SignInAudience, type SignInWay, signIn } from '../app/sign-in.ts';
import type { Account } from '../core/account.ts';
import { openBrowser } from '../platform/browser.ts';
import { chooseAccounts } from './choose-accounts.ts';
import { type Command, EXIT, type Invocation } from './command.ts';
import { HiddenLines } from './hidden-lines.ts';
import { loadForCommand, printJson } from './load.ts';
import { reportingProblems, withIsoTimes } from './report.ts';

export const login: Command = {
  async run(invocation) {
    const way = chooseWay(invocation);
    if (way === undefined) return EXIT.usage;
    if (way === 'link') return (await import('./login-link.ts')).makeLink(invocation);
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const [account] = chooseAccounts(loaded.config, invocation.positionals[0]) ?? [];
    if (account === undefined) return EXIT.usage;
    const redirectUri = invocation.options['redirect-uri'];
    const choice = { way, ...(typeof redirectUri === 'string' ? { redirectUri } : {}) };
    const person = new Person(account, invocation);
    return reportingProblems(
      invocation.isJson,
      async () => {
        try {
          const signedIn = await signIn(loaded.config, account, choice, person);
          if (invocation.isJson) printJson({ ok: true, account: account.name, ...asObject(withIsoTimes(signedIn)) });
          else process.stdout.write(describeSuccess(account, signedIn.user));
          return EXIT.ok;
        } finally {
          person.leave();
        }
      },
      account,
    );
  },
};

function chooseWay({ options }: Invocation): SignInWay | 'link' | undefined {
  if (options['link'] === true) {
    if (!['device', 'paste', 'no-browser', 'redirect-uri'].some((name) => options[name] !== undefined)) return 'link';
    process.stderr.write('postern: --link goes with no other option: whoever opens it chooses the way\n');
    return undefined;
  }
  const isDevice = options['device'] === true;
  if (isDevice && options['paste'] === true) process.stderr.write('postern: --device and --paste exclude each other\n');
  else if (isDevice && options['redirect-uri'] !== undefined) process.stderr.write('postern: --device has no redirect URI\n');
  else if (isDevice) return 'device';
  else return options['paste'] === true ? 'paste' : 'browser';
  return undefined;
}

function describeSuccess({ smtpUser, name }: Account, user: string | undefined): string {
  const kept = `The refresh token is stored; a Postern that runs on this state uses it within seconds.\n`;
  if (user !== undefined) return `Signed in as ${user}. ${kept}`;
  return `Signed in. ${kept}The provider does not say who it was: make sure that it was ${smtpUser} (postern doctor ${name}).\n`;
}

/** Whoever sits at the terminal. With --json, standard output is for the result alone. */
class Person implements SignInAudience {
  readonly #account: Account;
  readonly #say: (text: string) => void;
  readonly #mayOpenBrowser: boolean;
  #lines: HiddenLines | undefined;

  constructor(account: Account, { isJson, options }: Invocation) {
    const stream = isJson ? process.stderr : process.stdout;
    this.#account = account;
    this.#say = (text) => void stream.write(text);
    this.#mayOpenBrowser = stream.isTTY && options['no-browser'] !== true;
  }

  browser(url: string): void {
    const isOpened = this.#mayOpenBrowser && openBrowser(url);
    this.#say(`${isOpened ? 'A browser should open' : 'Open this address in a browser on this machine'} to sign in as ${this.#account.smtpUser}:

  ${url}

Waiting for the browser to come back, ten minutes at most. With a browser elsewhere: postern login ${this.#account.name} --paste (or --device).
`);
  }

  paste(url: string): void {
    if (this.#mayOpenBrowser) openBrowser(url);
    this.#say(`Open this address in any browser and sign in as ${this.#account.smtpUser}:

  ${url}

The browser ends at a page that cannot be shown. That is right: copy its whole address and paste it here within ten minutes, then Enter.
What you paste is not shown.
`);
  }

  async pasted(complaint?: string): Promise<string | undefined> {
    if (complaint !== undefined)
      this.#say(`That cannot be used: ${complaint}. Copy the whole address of the page where the browser ended.\n`);
    this.#say('Address: ');
    this.#lines ??= new HiddenLines();
    const line = await this.#lines.next();
    this.#say('\n');
    return line;
  }

  device({ userCode, verificationUri, expiresIn }: Parameters<SignInAudience['device']>[0]): void {
    this.#say(`On any device, open

  ${verificationUri}

enter the code

  ${userCode}

and sign in as ${this.#account.smtpUser}. Waiting, ${Math.round(expiresIn / 60_000)} minutes at most.
`);
  }

  leave(): void {
    this.#lines?.close();
  }
}

const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});
