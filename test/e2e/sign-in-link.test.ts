/** The owner of a mailbox signs in by a link, in a browser of their own, without the admin password. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { accessibilityFindings, keepScreenshot, type Look, LOOKS, openPage, startBrowser } from '../support/browser.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { postern } from '../support/process.ts';
import { decide, enterDeviceCode } from '../support/sandbox-person.ts';
import { type ServedPostern, servePostern } from '../support/served-postern.ts';
import { submit } from '../support/submit.ts';

const MAILBOX = 'billing@sandbox.test';
const PASSWORD = 'canary-admin-password-of-the-operator';
const LOGIN = { user: 'erp', pass: 'erp-password-of-the-lab' };

const browser = await startBrowser();
if (typeof browser === 'string') process.stderr.write(`sign-in-link.test.ts is left out: it needs Chromium; ${browser}\n`);

let sandbox: Sandbox;
let folder: string;
let served: ServedPostern | undefined;
/** What nothing may hold that is written. */
const secrets: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-link-'));
  const ports = { http: 0, smtp: 0 };
  sandbox = await startSandbox({
    clock: systemClock,
    random: systemRandom,
    log: new MemoryLog(),
    stateDir: join(folder, 'sandbox'),
    ports,
  });
  writeFileSync(join(folder, 'ca.pem'), sandbox.caPem);
});

afterEach(async () => {
  await Promise.all((typeof browser === 'string' ? [] : browser.contexts()).map((context) => context.close()));
  const { stdout = '', stderr = '' } = (await served?.process.end('SIGTERM')) ?? {};
  for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  if (served !== undefined)
    expect(written(join(served.file, '..')).filter((text) => secrets.some((one) => text.includes(one)))).toEqual([]);
  served = undefined;
  secrets.splice(0);
});

afterAll(async () => {
  if (typeof browser !== 'string') await browser.close();
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Every file of a folder. */
const written = (place: string): string[] =>
  readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'));

async function start(): Promise<ServedPostern> {
  const { authorizeUrl, tokenUrl, deviceUrl, smtp, tenant, clientId, clientSecret } = sandbox;
  const lab = {
    extends: 'sandbox',
    authorizeUrl,
    tokenUrl,
    deviceUrl,
    smtp: { host: smtp.host, port: smtp.port, tls: 'starttls' },
    caFile: join(folder, 'ca.pem'),
  };
  const users = `accounts:
  - { name: billing, provider: lab, mailbox: ${MAILBOX}, delivery: direct, auth: { grant: refresh_token, tenant: ${tenant}, clientId: ${clientId}, clientSecret: '${clientSecret}' } }
  - { name: other, provider: lab, mailbox: other@sandbox.test, auth: { grant: refresh_token, tenant: ${tenant}, clientId: ${clientId}, clientSecret: '${clientSecret}' } }
clients:
  - { name: erp, username: erp, password: ${LOGIN.pass}, account: billing }`;
  served = await servePostern({ folder, providers: { lab }, users, adminPassword: PASSWORD });
  return served;
}

/** Signed in with the admin password, at the sign-in of the account. */
async function operator(url: string): Promise<Page> {
  const { page } = await openPage(browser as Browser);
  await page.goto(`${url}#/setup/billing`);
  await page.getByLabel('Admin password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Let the owner of the mailbox sign in elsewhere').click();
  return page;
}

async function makeLink(page: Page): Promise<string> {
  await page.getByRole('button', { name: /^Make (a|another) link$/ }).click();
  await page.getByText('Send this to the owner').waitFor();
  const link = (await page.locator('details .copyable pre').innerText()).trim();
  secrets.push(new URL(link).hash.slice(1));
  return link;
}

/** A browser without a session of an operator, and what it asked for. */
async function guest(link: string, look: Look = LOOKS[0]): Promise<{ page: Page; asked: string[]; complaints: string[] }> {
  const { page, complaints } = await openPage(browser as Browser, look);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(`${request.method()} ${request.url()} ${JSON.stringify(request.headers())}`));
  await page.goto(link);
  return { page, asked, complaints };
}

const goOn = async (page: Page): Promise<void> => {
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByText(`Sign in as ${MAILBOX}`).waitFor();
};

async function begin(page: Page, way: 'device' | 'paste'): Promise<string> {
  await page.getByRole('combobox').selectOption(way);
  await page.getByRole('button', { name: 'Begin' }).click();
  return (await page.getByRole('link', { name: 'Open the sign-in page' }).getAttribute('href')) ?? '';
}

async function paste(page: Page, address: string): Promise<void> {
  await page.getByLabel('Address of the page where the browser has ended').fill(address);
  await page.getByRole('button', { name: 'Use this address' }).click();
}

const delivered = async ({ port }: ServedPostern): Promise<number | undefined> =>
  (await submit({ port, login: LOGIN, from: MAILBOX })).code;

describe.runIf(typeof browser !== 'string')('a link to sign in', () => {
  it('lets its owner sign in with a code, and mail flows', async () => {
    const here = await start();
    expect(await delivered(here)).not.toBe(250);
    const at = await operator(here.url);
    const link = await makeLink(at);
    await at.getByText('This link leads to the machine that it is opened on.').waitFor();
    await keepScreenshot(at, 'sign-in-link-1280-light');
    expect(await accessibilityFindings(at)).toEqual([]);

    const { page, asked, complaints } = await guest(link);
    await page.getByRole('button', { name: 'Go on' }).waitFor();
    await page.reload(); // Nothing is used up by looking.
    await goOn(page);
    expect(page.url()).not.toContain(secrets[0]);
    const verification = await begin(page, 'device');
    const code = (await page.locator('.code').innerText()).trim();
    await page.reload(); // It goes on where it was.
    expect((await page.locator('.code').innerText()).trim()).toBe(code);
    await enterDeviceCode(verification, code, MAILBOX);
    await page.getByText(`Signed in as ${MAILBOX}.`).waitFor();
    await page.getByText('You can close this page.').waitFor();
    await page.reload();
    await page.getByText(`Signed in as ${MAILBOX}.`).waitFor();

    await expect.poll(() => delivered(here), { timeout: 20_000 }).toBe(250);
    // Neither in an address nor in a header that goes anywhere.
    expect(asked.filter((request) => request.includes(secrets[0] ?? '?'))).toEqual([]);
    expect(complaints).toEqual([]);
    await at.reload();
    await at.getByText('Let the owner of the mailbox sign in elsewhere').click();
    await at.getByText('Somebody has signed in.').waitFor();
  }, 90_000);

  it('lets its owner bring an address, and stores nothing of a forged answer, a refusal or another mailbox', async () => {
    const here = await start();
    const { page } = await guest(await makeLink(await operator(here.url)));
    await goOn(page);
    await begin(page, 'paste');
    await paste(page, 'http://localhost/oauth/callback?code=EVIL&state=EVIL');
    await page.getByText(/another sign-in/).waitFor();
    await paste(page, (await decide(await begin(page, 'paste'), MAILBOX, 'refuse')).href);
    await page.getByText('SIGN_IN_REFUSED').waitFor();
    await paste(page, (await decide(await begin(page, 'paste'), 'relay@sandbox.test')).href);
    await page.getByText(/relay@sandbox\.test signed in, not billing@sandbox\.test/).waitFor();
    await page.getByText('use a private browser window').waitFor();
    expect(await page.content()).not.toContain('postern login');
    expect(await delivered(here)).not.toBe(250);
    await paste(page, (await decide(await begin(page, 'paste'), MAILBOX)).href);
    await page.getByText(`Signed in as ${MAILBOX}.`).waitFor();
    await expect.poll(() => delivered(here), { timeout: 20_000 }).toBe(250);
  }, 90_000);

  it('that is used, withdrawn, wrong or missing ends in a clear page', async () => {
    const here = await start();
    const at = await operator(here.url);
    const link = await makeLink(at);
    const first = await guest(link);
    await goOn(first.page);
    const replayed = await guest(link);
    await replayed.page.getByRole('button', { name: 'Go on' }).click();
    await replayed.page.getByText(/the link cannot be used: it was used already, at /).waitFor();
    await replayed.page.getByText('tell them if it was not you').waitFor();
    await keepScreenshot(replayed.page, 'guest-used-1280-light');
    expect(await accessibilityFindings(replayed.page)).toEqual([]);

    await at.reload();
    await at.getByText('Let the owner of the mailbox sign in elsewhere').click();
    await at.getByText('The link was opened from 127.0.0.1').waitFor();
    const verification = await begin(first.page, 'device');
    const code = (await first.page.locator('.code').innerText()).trim();
    await at.getByRole('button', { name: 'Withdraw it' }).click();
    await at.getByText('The link is not good any more.').waitFor();
    await first.page.getByText(/it was withdrawn, or another one was made/).waitFor();
    await enterDeviceCode(verification, code, MAILBOX).catch(() => undefined); // Whether the provider still takes it is its own affair.
    expect(await delivered(here)).not.toBe(250);

    const wrong = await guest(`${here.url}sign-in#${'A'.repeat(43)}`);
    await wrong.page.getByRole('button', { name: 'Go on' }).click();
    await wrong.page.getByText(/there is no such link/).waitFor();
    const missing = await guest(`${here.url}sign-in`);
    await missing.page.getByText('There is none in the address.').waitFor();
    expect(missing.asked.filter((request) => request.includes('/api/'))).toEqual([]);
    // With a link there is a way to the operators' page, but none past its password.
    await first.page.goto(here.url);
    await first.page.getByLabel('Admin password').waitFor();
    expect(readFileSync(here.file, 'utf8')).not.toContain('sign-in');
  }, 90_000);

  it('is made by a command, too', async () => {
    const here = await start();
    const run = (...args: string[]) => postern(['login', ...args, '--config', here.file]).end();
    const { code, stdout } = await run('billing', '--link');
    expect([code, stdout]).toEqual([0, expect.stringContaining('open on this machine only')]);
    const [link = ''] = /http:\S+\/sign-in#\S+/.exec(stdout) ?? [];
    secrets.push(new URL(link).hash.slice(1));
    const { page } = await guest(link);
    await goOn(page);
    expect(await run('nobody', '--link')).toMatchObject({ code: 1, stderr: expect.stringContaining('no account nobody') });
    expect(await run('billing', '--link', '--device')).toMatchObject({ code: 2 });
    await here.process.end('SIGTERM');
    expect(await run('billing', '--link', '--json')).toMatchObject({ code: 1, stdout: expect.stringContaining('CONTROL_UNREACHABLE') });
  }, 60_000);

  it('looks right and is accessible, wide and narrow, light and dark', async () => {
    const here = await start();
    const at = await operator(here.url);
    for (const look of LOOKS) {
      const { page, complaints } = await guest(await makeLink(at), look);
      const check = async (name: string): Promise<void> => {
        await keepScreenshot(page, `guest-${name}-${look.width}-${look.colorScheme}`);
        expect(await accessibilityFindings(page)).toEqual([]);
        expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(look.width);
      };
      await page.getByRole('button', { name: 'Go on' }).waitFor();
      await check('invited');
      await goOn(page);
      await begin(page, 'device');
      await page.locator('.code').waitFor();
      await check('device');
      await begin(page, 'paste');
      await page.getByLabel('Address of the page where the browser has ended').waitFor();
      await check('paste');
      expect(complaints).toEqual([]);
      await page.close();
    }
  }, 90_000);
});
