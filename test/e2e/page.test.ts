/** The admin page in a real browser, over a whole relay. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { fetch as undici } from 'undici';
import { ask } from '../support/admin-stage.ts';
import { accessibilityFindings, keepScreenshot, LOOKS, openPage, startBrowser } from '../support/browser.ts';
import { freePort } from '../support/free-port.ts';
import { Latch } from '../support/latch.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const PASSWORD = 'canary-admin-password-0123456789';
const MAILBOX = 'billing@sandbox.test';
const SOON = { timeout: 20_000 };
/** One that is well, one whose mailbox is not there, one whose program takes nothing. */
const FETCH = [
  { name: 'orders', account: 'billing', from: 'all', to: { directory: './mail' } },
  { name: 'lost', account: 'billing', mailbox: 'Nowhere', to: { maildir: './lost' } },
  {
    name: 'picky',
    account: 'billing',
    from: 'all',
    to: { command: ['/bin/sh', '-c', 'cat >/dev/null; echo no such customer >&2; exit 65'] },
    tries: 1,
  },
];
const EVIL = '<img src=x onerror=alert(1)>';

let browser: Browser | undefined;
let relay: RelayOnSandbox | undefined;

const started = await startBrowser();
if (typeof started === 'string') process.stderr.write(`page.test.ts is left out: it needs Chromium; ${started}\n`);

beforeAll(() => {
  if (typeof started !== 'string') browser = started;
});

afterEach(async () => {
  await Promise.all((browser?.contexts() ?? []).map((context) => context.close()));
  await relay?.close();
  relay = undefined;
});

afterAll(async () => {
  await browser?.close();
});

interface Site {
  readonly relay: RelayOnSandbox;
  readonly url: string;
}

async function site(changes: Parameters<typeof startRelayOnSandbox>[0] = {}): Promise<Site> {
  const port = await freePort();
  relay = await startRelayOnSandbox({ mode: 'auto', ...changes, admin: { port, ...changes.admin } });
  return { relay, url: `http://127.0.0.1:${port}/` };
}

const send = (port: number, options: Partial<Parameters<typeof submit>[0]> = {}) => submit({ port, login: LOGIN, ...options });

async function go(page: Page, url: string, name: string): Promise<void> {
  await page.goto(`${url}#/${name}`);
  await page.locator('main h1').waitFor();
}

/** A message that nobody can take and that has nobody to be returned to. */
async function leaveDeadLetter({ sandbox, port }: RelayOnSandbox, url: string): Promise<void> {
  const refuse = (reply: string) => ({ stage: 'rcpt' as const, kind: 'reply' as const, reply, times: 1 });
  sandbox.faults.submission.next = [refuse('450 4.2.1 later'), refuse('550 5.1.1 No such user')];
  expect((await send(port, { from: '' })).code).toBe(250);
  const api = async (path: string, body?: object): Promise<{ matching: number }> => {
    const how = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return (await (await undici(`${url}api/v1/queue${path}`, how)).json()) as { matching: number };
  };
  await api('/retry', { filter: { account: 'billing' } });
  await expect.poll(async () => (await api('?code=DEAD_LETTER')).matching, { timeout: 20_000 }).toBe(1);
}

describe.runIf(typeof started !== 'string')('the admin page', () => {
  it('has nothing but its own files, a strict policy and a small script', async () => {
    const { url } = await site();
    const response = await fetch(url);
    const policy = response.headers.get('content-security-policy') ?? '';
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
      expect(policy).toContain(part);
    }
    expect(policy).not.toMatch(/unsafe|https?:/);
    const html = await response.text();
    expect(html).not.toMatch(/https?:|<style|<script>/);
    const script = await (await fetch(`${url}page.js`)).arrayBuffer();
    expect(script.byteLength).toBeLessThan(150 * 1024);
  });

  it('shows a message that was relayed, without being asked again, and its path', async () => {
    const {
      relay: { port },
      url,
    } = await site();
    const { page, complaints } = await openPage(browser!);
    await go(page, url, 'overview');
    await page.getByText('Everything is in order.').waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    expect((await send(port)).code).toBe(250);
    await page.getByText('someone@example.test').waitFor();
    await page
      .getByRole('link', { name: /ago|now/ })
      .first()
      .click();
    await page.getByRole('heading', { name: 'Path through the relay' }).waitFor();
    expect(await page.locator('main').innerText()).toMatch(/250 2\.0\.0 OK/);
    expect(complaints).toEqual([]);
  });

  it('finds messages by what is read in their subjects, and shows those as they were meant', async () => {
    const { relay: running, url } = await site();
    const subjects = ['=?utf-8?B?UmVjaG51bmcgZsO8ciBNw6Ryeg==?=', `=?utf-8?Q?evil=E2=80=AE?= ${EVIL}`, 'שלום'];
    for (const subject of subjects) expect((await send(running.port, { content: `Subject: ${subject}\r\n\r\nbody\r\n` })).code).toBe(250);
    const { page, complaints } = await openPage(browser!);
    await go(page, url, 'messages');
    const shown = (): Promise<string[]> => page.locator('main .subject').allTextContents();
    await expect.poll(shown).toEqual(['שלום', `evil ${EVIL}`, 'Rechnung für März']);
    expect(await page.locator('main img').count()).toBe(0);
    const search = page.getByRole('searchbox', { name: /subject/ });
    await search.fill('MÄRZ');
    await search.press('Enter');
    await expect.poll(shown).toEqual(['Rechnung für März']);
    await page
      .getByRole('link', { name: /ago|now/ })
      .first()
      .click();
    await page.getByRole('heading', { name: 'Path through the relay' }).waitFor();
    expect(await shown()).toEqual(['Rechnung für März']);
    expect(await accessibilityFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('has no place for subjects where they are not kept', async () => {
    const { relay: running, url } = await site({ admin: { subjects: false } });
    expect((await send(running.port)).code).toBe(250);
    const { page } = await openPage(browser!);
    await go(page, url, 'messages');
    await page.getByText('someone@example.test').waitFor();
    expect(await page.locator('main th').allTextContents()).not.toContain('Subject');
    expect(await page.locator('main .subject').count()).toBe(0);
  });

  it('leaves the keyboard where it was, and what a button did, when it draws itself again', async () => {
    const {
      relay: { port },
      url,
    } = await site();
    const { page } = await openPage(browser!);
    await go(page, url, 'accounts');
    await page.getByText('live', { exact: true }).waitFor();
    const refresh = page.getByRole('button', { name: 'Get a new access token' });
    await refresh.focus();
    await page.keyboard.press('Enter');
    const outcome = page.locator('main [aria-live] .badge');
    await outcome.waitFor();
    await page.evaluate("document.querySelector('main h1').textContent = 'stale'");
    expect((await send(port)).code).toBe(250);
    await page.getByRole('heading', { name: 'Accounts' }).waitFor(); // Drawn again.
    await expect.poll(() => page.evaluate<string>('document.activeElement.textContent')).toBe('Get a new access token');
    expect(await outcome.count()).toBe(1);
  });

  it('looks right and is accessible on each page, wide and narrow, light and dark', async () => {
    const { relay: running, url } = await site({ fetch: FETCH });
    const content = `Subject: ${'Invoice 4711 for October, '.repeat(8)}${'x'.repeat(100)}\r\n\r\nbody\r\n`;
    await send(running.port, { from: MAILBOX, to: MAILBOX, content });
    await expect.poll(() => running.log.of('fetch-set-aside').length, SOON).toBe(1);
    await send(running.port, { from: 'stranger@example.test' });
    await leaveDeadLetter(running, url);
    for (const look of LOOKS) {
      const { page, complaints } = await openPage(browser!, look);
      for (const name of ['overview', 'messages', 'queue', 'accounts', 'clients', 'fetch', 'trace', 'log']) {
        await go(page, url, name);
        const where = `${name}-${look.width}-${look.colorScheme}`;
        await keepScreenshot(page, where);
        expect(await accessibilityFindings(page), where).toEqual([]);
        const width = await page.evaluate<number>('document.documentElement.scrollWidth');
        expect(width, where).toBeLessThanOrEqual(look.width);
      }
      expect(complaints).toEqual([]);
      await page.close();
    }
  }, 180_000);

  it('shows hostile strings as what they are', async () => {
    const { relay: running, url } = await site();
    running.sandbox.faults.submission.next = [{ stage: 'rcpt', kind: 'reply', reply: `550 5.1.1 ${EVIL}`, address: '*', times: 1 }];
    expect((await send(running.port)).code).toBe(550);
    const { page, complaints } = await openPage(browser!);
    page.on('dialog', () => complaints.push('a dialog opened'));
    for (const name of [
      'overview',
      'messages',
      'clients',
      `messages?text=${encodeURIComponent('<b>x</b>')}`,
      'queue/<img src=x onerror=alert(1)>',
    ]) {
      await page.goto(`${url}#/${name}`);
      await page.locator('main').waitFor();
    }
    await go(page, url, 'messages');
    await expect.poll(() => page.locator('main').innerText()).toContain(EVIL);
    expect(await page.locator('main img').count()).toBe(0);
    expect(complaints.filter((complaint) => !complaint.includes('status of 4'))).toEqual([]);
  });

  it('asks for the password where there is one, says what is wrong, and signs out', async () => {
    const { url } = await site({ admin: { password: PASSWORD } });
    const { page } = await openPage(browser!);
    await page.goto(url);
    await page.getByLabel('Admin password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('the password is wrong').waitFor();
    await page.getByLabel('Admin password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    expect(await page.content()).not.toContain(PASSWORD);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Admin password').waitFor();
  });

  it('shows fetch rules, runs, pauses, resumes and begins anew, and puts those in trouble first', async () => {
    const { relay: running, url } = await site({ fetch: FETCH });
    await send(running.port, { from: MAILBOX, to: MAILBOX });
    await expect.poll(() => [running.log.of('fetch-set-aside').length, running.log.of('message-fetched').length], SOON).toEqual([1, 1]);
    await expect.poll(() => running.log.of('fetch-failed').length, SOON).toBeGreaterThan(0);

    const { page, complaints } = await openPage(browser!);
    await go(page, url, 'overview');
    const notes = page.locator('.notes');
    await notes.getByText('UPSTREAM_MAILBOX_CLOSED').waitFor();
    expect(await notes.innerText()).toContain('1 message is not tried any more');
    expect(await notes.innerText()).not.toContain('Fetch rule orders');
    await notes.getByRole('link', { name: 'Fetch rule picky' }).click();

    const card = (name: string) => page.locator('section.card', { has: page.getByRole('heading', { name: new RegExp(`^${name} `) }) });
    const button = (text: string, name: string) => page.getByRole('button', { name: `${text}: ${name}`, exact: true });
    await card('lost').getByText('UPSTREAM_MAILBOX_CLOSED').waitFor();
    await card('picky').getByText('FETCH_NOT_TAKEN').or(card('picky').getByText('FETCH_REFUSED')).waitFor();
    expect(await card('orders').innerText()).toMatch(
      /directory .*\/mail[\s\S]*Settled up to UID\s+1 \(UIDVALIDITY \d+\)[\s\S]*Fetched since start\s+1/,
    );
    await button('Try them again', 'picky').click();
    await expect.poll(() => running.log.of('fetch-set-aside').length, SOON).toBe(2);

    // With the keyboard alone, and the focus stays.
    await button('Pause', 'orders').press('Enter');
    await card('orders').getByText('paused', { exact: true }).waitFor();
    await expect.poll(() => page.evaluate<string>('document.activeElement.ariaLabel')).toBe('Resume: orders');
    await send(running.port, { from: MAILBOX, to: MAILBOX });
    await page.keyboard.press('Enter');
    await expect.poll(() => running.log.of('message-fetched').length, SOON).toBe(2);
    await card('orders').getByText('waits for mail').waitFor();
    await button('Run now', 'orders').click();

    await button('Begin anew', 'orders').click();
    await page.getByRole('dialog').getByText('Forget how far orders has got?').waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    // What is behind the question begins to be drawn anew before it is answered, and ends afterwards.
    await button('Begin anew', 'orders').evaluate('(button) => (button.id = "drawn-before")');
    const answer = new Latch();
    await page.route('**/api/v1/fetch', async (route) => {
      await answer.passed;
      await route.continue();
    });
    const asked = page.waitForRequest('**/api/v1/fetch');
    await send(running.port, { from: MAILBOX, to: MAILBOX });
    await asked;
    await page.keyboard.press('Escape');
    expect(await page.getByRole('dialog').count()).toBe(0);
    answer.open();
    await expect.poll(() => page.locator('#drawn-before').count(), SOON).toBe(0);
    await expect.poll(() => page.evaluate<string>('document.activeElement.ariaLabel')).toBe('Begin anew: orders');
    await page.unroute('**/api/v1/fetch');
    // And what was drawn anew, wholly, while the question stood.
    await button('Begin anew', 'orders').evaluate('(button) => (button.id = "drawn-before")');
    await button('Begin anew', 'orders').press('Enter');
    await page.getByRole('dialog').waitFor();
    await send(running.port, { from: MAILBOX, to: MAILBOX });
    await expect.poll(() => page.locator('#drawn-before').count(), SOON).toBe(0);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.evaluate<string>('document.activeElement.ariaLabel')).toBe('Begin anew: orders');
    expect(running.log.of('fetch-reset')).toEqual([]);
    await button('Begin anew', 'orders').click();
    await page.getByRole('button', { name: 'Begin anew', exact: true }).click();
    await expect.poll(() => running.log.of('message-fetched').length, SOON).toBe(8);
    await expect.poll(() => card('orders').innerText(), SOON).toMatch(/Fetched since start\s+8/);
    expect(complaints).toEqual([]);
  }, 60_000);

  it('tries dead letters again in bulk, and drops only what was confirmed', async () => {
    const { relay: running, url } = await site();
    await leaveDeadLetter(running, url);
    const { page } = await openPage(browser!);
    await go(page, url, `queue/${running.log.of('dead-letter')[0]?.queueId}`);
    expect(await page.locator('main .subject').allTextContents()).toEqual(['test']);
    await go(page, url, 'queue');
    await page
      .getByRole('checkbox', { name: /Select message/ })
      .first()
      .waitFor();
    await page.getByText('DEAD_LETTER').waitFor();
    await page.getByRole('checkbox', { name: 'Select all shown' }).check();
    await page.getByRole('button', { name: 'Drop' }).click();
    await page.getByRole('button', { name: 'Keep' }).click();
    await page.getByText('1 selected').waitFor();
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.getByText('1 message changed.').waitFor();
    await page.getByText('No message waits.').waitFor();
    expect(running.sandbox.messages.list().length).toBe(1);
  });

  it('is reached by a link from elsewhere, and cannot be framed or asked from elsewhere', async () => {
    const { url } = await site();
    const navigation = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    const port = Number(new URL(url).port);
    const get = async (path: string, headers: Record<string, string>) => (await ask({ port }, 'GET', `/${path}`, headers)).status;
    expect(await get('', { ...navigation, 'sec-fetch-dest': 'document' })).toBe(200);
    expect(await get('', { ...navigation, 'sec-fetch-dest': 'iframe' })).toBe(403);
    expect(await get('page.js', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' })).toBe(403);
    expect(await get('api/v1/status', { ...navigation, 'sec-fetch-dest': 'document' })).toBe(403);
  });
});
