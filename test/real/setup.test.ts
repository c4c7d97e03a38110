/**
 * The set-up on the admin page against real servers: oidc-provider's own pages, Postfix and Dovecot; from a configuration without accounts to messages
 * that lie in the mailbox.
 *
 * @packageDocumentation
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { keepScreenshot, openPage, startBrowser } from '../support/browser.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { BILLING, PRINTERS } from '../support/real/postern.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';
import { COMMENT, type ServedPostern, servePostern } from '../support/served-postern.ts';
import { submit } from '../support/submit.ts';

const started = notRun === undefined ? await startBrowser() : notRun;
const why = notRun === undefined && typeof started === 'string' ? ` (not run: no Chromium; ${started})` : whyNotRun;
if (typeof started === 'string') process.stderr.write(`real/setup.test.ts is not run: ${started}\n`);

describe.skipIf(typeof started === 'string')(`the set-up at a real authorization server${why}`, () => {
  const browser = started as Browser;
  let servers: RealServers;
  let served: ServedPostern | undefined;

  beforeAll(async () => {
    servers = await startRealServers();
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    const { stdout = '', stderr = '' } = (await served?.process.end('SIGTERM')) ?? {};
    const { issuedTokens, delegated } = servers.authorization;
    expect(secretsIn(stdout + stderr, [...issuedTokens, delegated.clientSecret])).toEqual([]);
    served = undefined;
  });
  afterAll(async () => {
    await browser.close();
    await servers.stop();
  });

  async function start(): Promise<{ page: Page; here: ServedPostern }> {
    const { authorization, host, smtpPort, imapPort, pop3Port, caFile, folder } = servers;
    const lab = {
      extends: 'microsoft365',
      authorizeUrl: authorization.authorizeUrl,
      tokenUrl: authorization.tokenUrl,
      deviceUrl: authorization.deviceUrl,
      smtp: { host, port: smtpPort, tls: 'starttls' },
      imap: { host, port: imapPort, tls: 'implicit' },
      pop3: { host, port: pop3Port, tls: 'implicit' },
      caFile,
    };
    const here = await servePostern({ folder: folder.file('.'), providers: { lab } });
    served = here;
    const page = await open();
    await page.goto(`${here.url}#/setup`);
    return { page, here };
  }

  /** A device of its own: cookies are not shared. The pages of oidc-provider ask for fonts on the web. */
  async function open(): Promise<Page> {
    const { page, context } = await openPage(browser);
    await context.route(/googleapis\.com/, (route) => route.abort());
    return page;
  }

  async function addAccount(page: Page, clientId: string, clientSecret?: string): Promise<void> {
    await page.getByRole('option', { name: 'lab' }).waitFor({ state: 'attached' });
    await page.getByLabel('Provider').selectOption('lab');
    await page.getByLabel('Name of the account').fill('billing');
    await page.getByLabel('Mailbox').fill(BILLING);
    await page.getByLabel('Directory (tenant) ID').fill(servers.authorization.tenant);
    await page.getByLabel('Application (client) ID').fill(clientId);
    if (clientSecret !== undefined) await page.getByLabel('Client secret').fill(clientSecret);
    await page.getByRole('button', { name: 'Write it' }).click();
    await page.getByText('and in use').waitFor();
  }

  async function begin(page: Page, way: 'browser' | 'device' | 'paste'): Promise<string> {
    await page.getByRole('combobox').filter({ hasText: 'With a code, on any device' }).selectOption(way);
    await page.getByRole('button', { name: 'Begin' }).click();
    return (await page.getByRole('link', { name: 'Open the sign-in page' }).getAttribute('href')) ?? '';
  }

  /** The person at oidc-provider's pages, in another tab: signs in and consents. */
  async function signInAs(mailbox: string, person: Page): Promise<void> {
    await person.locator('input[name=login]').fill(mailbox);
    await person.locator('input[name=password]').fill('anything');
    await person.locator('button[type=submit]').click();
    await person.getByRole('button', { name: 'Continue' }).click();
  }

  /** Examine, add a client, a test message, and one of the client: both lie in the mailbox. */
  async function finish(page: Page, { port, file }: ServedPostern): Promise<void> {
    const before = await servers.countMessages(BILLING);
    await page.getByRole('button', { name: 'Examine' }).click();
    await page.getByText('Nothing failed.').waitFor();
    await page.getByLabel('Name of the client').fill('erp');
    await page.getByRole('button', { name: 'Add the client' }).click();
    await page.getByText('Its password, shown this once:').waitFor();
    const pass = (await page.locator('p:text("shown this once") + .copyable pre').innerText()).trim();
    await page.getByRole('button', { name: 'Send it' }).click();
    await page.getByText('The provider has accepted it.').waitFor();
    const content = `From: <${BILLING}>\r\nTo: <${BILLING}>\r\nSubject: from the application\r\n\r\nHello\r\n`;
    expect((await submit({ port, login: { user: 'erp', pass }, from: BILLING, to: BILLING, content })).code).toBe(250);
    // The account delivers `auto`: a message may still be in Postern's queue when the application has its 250.
    const arrivals = async (): Promise<string[]> =>
      (await servers.readMailbox(BILLING)).slice(before).map((stored) => stored.toString('latin1'));
    await expect.poll(arrivals, { timeout: 60_000, interval: 200 }).toHaveLength(2);
    expect((await arrivals()).join('\n')).toContain('Subject: from the application');
    expect(readFileSync(file, 'utf8')).toContain(COMMENT);
    expect(secretsIn(await page.content(), servers.authorization.issuedTokens)).toEqual([]);
  }

  const grants = ({ file }: ServedPostern): string[] => {
    try {
      return readdirSync(join(file, '..', 'var', 'tokens')).filter((name) => name.startsWith('billing'));
    } catch {
      return []; // Nothing was ever stored.
    }
  };

  it('leads to delivered messages by code and PKCE, in a browser on this machine, without a client secret', async () => {
    const { page, here } = await start();
    await addAccount(page, servers.authorization.publicClientId);
    const target = await begin(page, 'browser');
    expect(new URL(target).searchParams.get('code_challenge_method')).toBe('S256');
    const person = await page.context().newPage();
    await person.goto(target);
    await signInAs(BILLING, person);
    await person.getByText('You can close this page.').waitFor();
    await page.getByText(`Signed in as ${BILLING}.`).waitFor();
    await finish(page, here);
    await keepScreenshot(page, 'setup-real-code-1280-light');
  }, 120_000);

  it('leads there by a code on another device; the wrong person before changes nothing', async () => {
    const { page, here } = await start();
    const { clientId, clientSecret } = servers.authorization.delegated;
    await addAccount(page, clientId, clientSecret);
    const enter = async (mailbox: string): Promise<void> => {
      const target = await begin(page, 'device');
      const person = await open();
      await person.goto(target);
      await person.locator('input[name=user_code]').fill((await page.locator('.code').innerText()).trim());
      await person.getByRole('button', { name: 'Continue' }).click();
      await person.getByRole('heading', { name: 'Confirm Device' }).waitFor();
      await person.getByRole('button', { name: 'Continue' }).click();
      await signInAs(mailbox, person);
      await person.getByRole('heading', { name: 'Sign-in Success' }).waitFor();
    };
    await enter(PRINTERS);
    await page.getByText(`${PRINTERS} signed in, not ${BILLING}; nothing was stored`).waitFor();
    expect(grants(here)).toEqual([]);
    await enter(BILLING);
    await page.getByText(`Signed in as ${BILLING}.`).waitFor();
    expect(grants(here)).not.toEqual([]);
    await finish(page, here);
  }, 120_000);

  it('is handed to the owner of the mailbox by a link, who brings the address of a page that cannot be shown', async () => {
    const { page, here } = await start();
    await addAccount(page, servers.authorization.publicClientId);
    await page.getByText('Let the owner of the mailbox sign in elsewhere').click();
    await page.getByRole('button', { name: 'Make a link' }).click();
    const link = (await page.locator('details .copyable pre').last().innerText()).trim();
    const guest = await open();
    await guest.goto(link);
    await guest.getByRole('button', { name: 'Go on' }).click();
    const target = await begin(guest, 'paste');
    const person = await guest.context().newPage();
    const ended = person.waitForRequest(/\/oauth\/callback\?/);
    await person.goto(target);
    await signInAs(BILLING, person).catch(() => undefined); // Its last page cannot be shown: nobody listens there.
    await guest.getByLabel('Address of the page where the browser has ended').fill((await ended).url());
    await guest.getByRole('button', { name: 'Use this address' }).click();
    await guest.getByText(`Signed in as ${BILLING}.`).waitFor();
    await page.goto(`${here.url}#/setup/billing`);
    await finish(page, here);
  }, 120_000);
});
