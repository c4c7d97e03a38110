/** The set-up on the admin page: from a configuration without accounts to a message that a provider has accepted. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { accessibilityFindings, keepScreenshot, LOOKS, openPage, startBrowser } from '../support/browser.ts';
import { MemoryLog } from '../support/memory-log.ts';
import type { RunningProcess } from '../support/process.ts';
import { COMMENT, servePostern } from '../support/served-postern.ts';
import { submit } from '../support/submit.ts';

const MAILBOX = 'billing@sandbox.test';

const browser = await startBrowser();
if (typeof browser === 'string') process.stderr.write(`setup.test.ts is left out: it needs Chromium; ${browser}\n`);

let sandbox: Sandbox;
let folder: string;
let file: string;
let relay: RunningProcess | undefined;
let port: number;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-setup-'));
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
  await relay?.end('SIGTERM');
  relay = undefined;
});

afterAll(async () => {
  if (typeof browser !== 'string') await browser.close();
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A Postern without accounts that knows the sandbox as its provider `lab`. */
async function start(users = 'accounts:'): Promise<Page> {
  const { authorizeUrl, tokenUrl, deviceUrl, smtp } = sandbox;
  const lab = {
    extends: 'sandbox',
    authorizeUrl,
    tokenUrl,
    deviceUrl,
    smtp: { host: smtp.host, port: smtp.port, tls: 'starttls' },
    caFile: join(folder, 'ca.pem'),
  };
  const served = await servePostern({ folder, providers: { lab }, users });
  ({ process: relay, file, port, url } = served);
  const { page } = await openPage(browser as Browser);
  return page;
}

async function fillAccount(page: Page, name: string): Promise<void> {
  await page.goto(`${url}#/setup`);
  await page.getByRole('option', { name: 'lab' }).waitFor({ state: 'attached' });
  await page.getByLabel('Provider').selectOption('lab');
  await page.getByLabel('Name of the account').fill(name);
  await page.getByLabel('Mailbox').fill(MAILBOX);
  await page.getByLabel('Directory (tenant) ID').fill(sandbox.tenant);
  await page.getByLabel('Application (client) ID').fill(sandbox.clientId);
  await page.getByLabel('Client secret').fill(sandbox.clientSecret);
}

/** Examine, add a client, send a message as it and one of our own. */
async function finish(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Examine' }).click();
  await page.getByText('Nothing failed.').waitFor();
  await page.getByLabel('Name of the client').fill('erp');
  await page.getByRole('button', { name: 'Add the client' }).click();
  await page.getByText('Its password, shown this once:').waitFor();
  const pass = (await page.locator('p:text("shown this once") + .copyable pre').innerText()).trim();
  await page.getByText('Python', { exact: true }).click();
  expect(await page.locator('main').innerText()).toContain(`server.login("erp", "${pass}")`);
  await page.getByRole('button', { name: 'Send it' }).click();
  await page.getByText('The provider has accepted it.').waitFor();
  expect((await submit({ port, login: { user: 'erp', pass }, from: MAILBOX })).code).toBe(250);
  const text = readFileSync(file, 'utf8');
  expect(text).toContain(COMMENT);
  for (const secret of [pass, sandbox.clientSecret]) expect(text).not.toContain(secret);
  for (const secret of [pass, sandbox.clientSecret]) expect(relay?.stdout).not.toContain(secret);
}

describe.runIf(typeof browser !== 'string')('the set-up', () => {
  it('leads from nothing to a delivered message, signed in with a code on another device', async () => {
    const page = await start();
    const received = sandbox.messages.list().length;
    await fillAccount(page, 'billing');
    await page.getByRole('button', { name: 'Show what would be written' }).click();
    await page.getByText('+   - name: billing').waitFor();
    expect(readFileSync(file, 'utf8')).not.toContain('billing');
    await page.getByRole('button', { name: 'Write it' }).click();
    await page.getByText('and in use').waitFor();
    const secretFile = join(file, '..', 'var', 'secrets', 'billing.client-secret');
    expect(readFileSync(secretFile, 'utf8')).toBe(sandbox.clientSecret);
    expect(statSync(secretFile).mode & 0o777).toBe(0o600);
    await page.getByRole('combobox').last().selectOption('device');
    await page.getByRole('button', { name: 'Begin' }).click();
    const code = (await page.locator('.code').innerText()).trim();
    const device = await page.context().newPage();
    await device.goto((await page.getByRole('link', { name: 'Open the sign-in page' }).getAttribute('href')) ?? '');
    await device.getByLabel('Code shown by the device').fill(code);
    await device.getByLabel(`Sign in as ${MAILBOX}`).check();
    await device.getByRole('button', { name: 'Sign in and accept' }).click();
    await page.getByText(`Signed in as ${MAILBOX}`).waitFor();
    await finish(page);
    await page.goto(`${url}#/settings`);
    await page.getByRole('heading', { name: 'The file' }).waitFor();
    const shown = await page.locator('pre.config').innerText();
    expect(shown).toContain(COMMENT);
    expect(shown).toContain('passwordHash: "[secret]"');
    expect(shown).toContain('clientSecret: ${file:');
    await keepScreenshot(page, 'settings-1280-light');
    expect(await accessibilityFindings(page)).toEqual([]);
    await page.goto(`${url}#/clients`);
    await page.getByRole('button', { name: 'New password' }).click();
    await page.getByRole('button', { name: 'Make it' }).click();
    await page.getByText('The new password of erp').waitFor();
    const pass = (await page.locator('.copyable pre').first().innerText()).trim();
    expect((await submit({ port, login: { user: 'erp', pass }, from: MAILBOX })).code).toBe(250);
    await page.goto(`${url}#/log`);
    await page.getByText('the changed configuration is in use: client erp changed').waitFor();
    expect(await page.content()).not.toContain(pass);
    await page.goto(`${url}#/setup/billing`);
    expect(sandbox.messages.list().length).toBe(received + 3);
    await keepScreenshot(page, 'setup-done-1280-light');
    expect(await accessibilityFindings(page)).toEqual([]);
  }, 120_000);

  it('signs in with a browser on this machine, by code and PKCE', async () => {
    const page = await start();
    await fillAccount(page, 'billing');
    await page.getByRole('button', { name: 'Write it' }).click();
    await page.getByRole('button', { name: 'Begin' }).click();
    const [other] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'Open the sign-in page' }).click(),
    ]);
    await other.getByLabel(`Sign in as ${MAILBOX}`).check();
    await other.getByRole('button', { name: 'Sign in and accept' }).click();
    await other.getByText('You can close this page.').waitFor();
    await page.getByText(`Signed in as ${MAILBOX}`).waitFor();
    await finish(page);
  }, 120_000);

  it('re-authorises an account from the overview, takes a pasted address, and refuses the wrong person and a forged answer', async () => {
    const accounts = `accounts:
  - name: billing
    provider: lab
    mailbox: ${MAILBOX}
    auth: { grant: refresh_token, tenant: ${sandbox.tenant}, clientId: ${sandbox.clientId}, clientSecret: '${sandbox.clientSecret}' }`;
    const page = await start(accounts);
    await page.goto(url);
    await page.getByRole('link', { name: 'Sign in again' }).click();
    const way = page.locator('select:visible').first();
    const begin = async (): Promise<string> => {
      await way.selectOption('paste');
      await page.getByRole('button', { name: 'Begin' }).click();
      return (await page.getByRole('link', { name: 'Open the sign-in page' }).getAttribute('href')) ?? '';
    };
    /** Where the browser of the person ends. */
    const decide = async (target: string, body: Record<string, string>): Promise<string> =>
      (await fetch(target, { method: 'POST', body: new URLSearchParams(body), redirect: 'manual' })).headers.get('location') ?? '';
    const paste = async (address: string): Promise<void> => {
      await page.getByLabel('Address of the page where the browser has ended').fill(address);
      await page.getByRole('button', { name: 'Use this address' }).click();
    };
    const target = await begin();
    await paste('http://127.0.0.1/oauth/callback?code=EVIL&state=EVIL');
    await page
      .getByText(/state|another sign-in/)
      .first()
      .waitFor();
    await paste(await decide(target, { action: 'refuse', mailbox: MAILBOX }));
    await page
      .getByText(/access_denied|refused/)
      .first()
      .waitFor();
    await paste(await begin().then((again) => decide(again, { action: 'accept', mailbox: 'relay@sandbox.test' })));
    await page
      .getByText(/relay@sandbox\.test/)
      .first()
      .waitFor();
    expect(await (await fetch(`${url}api/v1/accounts/billing`)).text()).toMatch(/TOKEN_MISSING/);
    await paste(await begin().then((again) => decide(again, { action: 'accept', mailbox: MAILBOX })));
    await page.getByText(`Signed in as ${MAILBOX}`).waitFor();
    await page.goto(`${url}#/overview`);
    await page.getByText('Everything is in order.').waitFor();
  }, 120_000);

  it('changes an account that is there: shown first, its comments kept, a secret in a file of its own', async () => {
    writeFileSync(join(folder, 'tenant'), sandbox.tenant);
    const before = `accounts:
  # Belongs to the finance team.
  - name: billing # since 2019
    provider: lab
    mailbox: old@sandbox.test   # will change
    auth:
      grant: refresh_token
      tenant: "\${file:${join(folder, 'tenant')}}"
      clientId: ${sandbox.clientId}
      clientSecret: canary-old-secret`;
    const page = await start(before);
    await page.goto(`${url}#/accounts`);
    await page.getByRole('link', { name: 'Sign in again, change or examine' }).click();
    await page.getByText('Change it', { exact: true }).click();
    const form = page.locator('details', { hasText: 'Change it' });
    await form.getByRole('option', { name: 'lab' }).waitFor({ state: 'attached' });
    await form.getByRole('button', { name: 'Write it' }).click();
    await form.getByText('Nothing is different.').waitFor();
    await form.getByLabel('Mailbox').fill('no address');
    await form.getByLabel('Mailbox').evaluate((field) => field.removeAttribute('type'));
    await form.getByRole('button', { name: 'Write it' }).click();
    expect(await form.getByRole('alert').innerText()).toMatch(/mailbox/);
    await form.getByLabel('Mailbox').fill(MAILBOX);
    await form.getByLabel('Client secret').fill(sandbox.clientSecret);
    await form.getByRole('button', { name: 'Show what would be written' }).click();
    await form.getByText(`+     mailbox: ${MAILBOX}   # will change`).waitFor();
    expect(await page.content()).not.toContain('canary-old-secret');
    expect(readFileSync(file, 'utf8')).toContain(before);
    for (const look of LOOKS) {
      await page.setViewportSize({ width: look.width, height: 900 });
      await page.emulateMedia({ colorScheme: look.colorScheme });
      await keepScreenshot(page, `setup-change-${look.width}-${look.colorScheme}`);
      expect(await accessibilityFindings(page)).toEqual([]);
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(look.width);
    }
    await form.getByRole('button', { name: 'Write it' }).click();
    await form.getByText('Sign in again, since what is stored').waitFor();
    const secretFile = join(file, '..', 'var', 'secrets', 'billing.client-secret');
    expect(readFileSync(secretFile, 'utf8')).toBe(sandbox.clientSecret);
    expect(readFileSync(file, 'utf8')).toContain(
      before.replace('old@sandbox.test', MAILBOX).replace('canary-old-secret', JSON.stringify(`\${file:${secretFile}}`)),
    );
    await page.getByText(`Somebody has to sign in once as ${MAILBOX}`).waitFor();
    await form.getByLabel('Client secret').fill('another-secret-of-the-lab');
    await form.getByRole('button', { name: 'Write it' }).click();
    await form.getByText('the secret goes into its file').waitFor();
    expect(readFileSync(secretFile, 'utf8')).toBe('another-secret-of-the-lab');
    expect(relay?.stdout).not.toMatch(/canary-old-secret|another-secret-of-the-lab/);
  }, 60_000);

  it('says what is wrong, and writes nothing then', async () => {
    const page = await start();
    await fillAccount(page, 'no name');
    const before = readFileSync(file, 'utf8');
    await page.getByRole('button', { name: 'Write it' }).click();
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').innerText()).toMatch(/name/);
    await fillAccount(page, '../../evil');
    await page.getByRole('button', { name: 'Write it' }).click();
    await page.getByRole('alert').waitFor();
    expect(readFileSync(file, 'utf8')).toBe(before);
  }, 120_000);

  it('makes a refused device a client, by a link from where it is seen', async () => {
    const accounts = `accounts:
  - name: billing
    provider: lab
    mailbox: ${MAILBOX}
    auth: { grant: refresh_token, tenant: ${sandbox.tenant}, clientId: ${sandbox.clientId}, clientSecret: '${sandbox.clientSecret}', refreshToken: ${sandbox.mint.refreshToken(MAILBOX)} }
clients:
  - { name: other, username: other, password: '${sandbox.clientSecret}', account: billing }`;
    const page = await start(accounts);
    expect((await submit({ port, from: MAILBOX })).code).toBe(530);
    await page.goto(`${url}#/clients`);
    await page.getByRole('link', { name: 'Make it a client' }).click();
    await page.getByLabel('Name of the client').fill('printer');
    expect(await page.getByLabel('Networks').inputValue()).toBe('127.0.0.1');
    await page.getByRole('button', { name: 'Add the client' }).click();
    await page.getByText('Settings for the application').waitFor();
    expect((await submit({ port, from: MAILBOX })).code).toBe(250);
  }, 120_000);

  it('takes what is filled in for what it is, and reads no file that it names', async () => {
    const page = await start();
    const secret = join(file, '..', 'other-secret');
    writeFileSync(secret, 'canary-other-secret');
    await fillAccount(page, 'billing');
    await page.getByLabel('Directory (tenant) ID').fill(`\${file:${secret}}`);
    await page.getByRole('button', { name: 'Show what would be written' }).click();
    await page.locator('.diff, [role=alert]').first().waitFor();
    expect(await page.content()).not.toContain('canary-other-secret');
    expect(await page.locator('main').innerText()).not.toMatch(/tenant: .*[^$]\$\{file/);
  });

  it('is accessible on each screen', async () => {
    await start();
    for (const look of LOOKS) {
      const { page } = await openPage(browser as Browser, look);
      await page.goto(`${url}#/setup`);
      await page.getByRole('option', { name: 'lab' }).waitFor({ state: 'attached' });
      await keepScreenshot(page, `setup-${look.width}-${look.colorScheme}`);
      expect(await accessibilityFindings(page)).toEqual([]);
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(look.width);
    }
  }, 120_000);
});
