/**
 * Debian's Chromium for tests of the admin page; where there is none, the reason is printed and the tests are left out.
 *
 * @packageDocumentation
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { projectRoot } from './process.ts';
import { ensurePackages } from './real/packages.ts';

const EXECUTABLE = '/usr/bin/chromium';

/** What every test page is looked at with. */
export const LOOKS = [
  { width: 1280, colorScheme: 'light' },
  { width: 1280, colorScheme: 'dark' },
  { width: 360, colorScheme: 'light' },
  { width: 360, colorScheme: 'dark' },
] as const;

export type Look = (typeof LOOKS)[number];

/** @returns The browser, or why there is none. */
export async function startBrowser(): Promise<Browser | string> {
  if (!existsSync(EXECUTABLE)) {
    const reason = await ensurePackages(['chromium', 'fonts-dejavu-core']);
    if (reason !== undefined) return reason;
  }
  // Its own sandbox does not work for root; the pages are ours.
  return chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox', '--disable-gpu'] });
}

/** A page, and what its console and its script have complained of. */
export interface WatchedPage {
  readonly page: Page;
  readonly complaints: string[];
}

/** A window of its own: cookies are not shared. */
export async function openPage(
  browser: Browser,
  { width, colorScheme }: Look = LOOKS[0],
): Promise<WatchedPage & { context: BrowserContext }> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: false });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  return { context, page, complaints };
}

/** Serious findings of axe-core, each as one line. The page's policy forbids foreign scripts, so it runs in a world of its own. */
export async function accessibilityFindings(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const world = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  const evaluate = (expression: string) =>
    session.send('Runtime.evaluate', { expression, contextId: world.executionContextId, awaitPromise: true, returnByValue: true });
  await evaluate(`${axe.source};0`);
  const { result, exceptionDetails } = await evaluate(
    `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes.map((n) => n.html).join(' | ').slice(0, 400) })))`,
  );
  await session.detach();
  if (exceptionDetails !== undefined) throw new Error(`axe-core did not run: ${exceptionDetails.text}`);
  const violations = result.value as { id: string; impact: string; html: string }[];
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, impact, html }) => `${impact} ${id}: ${html}`);
}

/** Kept as an artefact of the run, to be looked at. */
export async function keepScreenshot(page: Page, name: string): Promise<void> {
  const folder = join(projectRoot, 'reports', 'screenshots');
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
