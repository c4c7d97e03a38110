import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { days, minutes } from '../../../src/core/clock.ts';
import { defaultFaults, setFaults } from '../../../src/sandbox/faults.ts';
import { openSandbox, type TestSandbox, Wire, xoauth2 } from './wire.ts';

const ACCOUNTS = [
  { address: 'relay@sandbox.test', sendAs: ['shared@sandbox.test'] },
  { address: 'shared@sandbox.test' },
  { address: 'other@sandbox.test' },
  { address: 'closed@sandbox.test', isOpenToApplications: false },
];

let box: TestSandbox;
const open: Wire[] = [];

async function keep(wire: Promise<Wire>): Promise<Wire> {
  const opened = await wire;
  open.push(opened);
  return opened;
}

beforeAll(async () => {
  box = await openSandbox({ accounts: ACCOUNTS });
});
afterEach(async () => {
  for (const wire of open.splice(0)) wire.close();
  setFaults(box.sandbox.faults, defaultFaults());
  box.sandbox.messages.clear();
  await box.clock.advance(days(2));
});
afterAll(() => box.sandbox.close());

/** An application's own token. */
async function applicationToken(): Promise<string> {
  const { sandbox } = box;
  const response = await fetch(sandbox.tokenUrl, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: sandbox.clientId,
      client_secret: sandbox.clientSecret,
      scope: 'https://outlook.office365.com/.default',
    }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

describe('rules about senders', () => {
  it('lets a delegate submit as a shared mailbox, and refuses the shared mailbox as user', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    const content = 'From: Shared <shared@sandbox.test>\r\n\r\nx\r\n';
    expect(await wire.submit(content, { from: 'shared@sandbox.test' })).toMatch(/^250 2\.0\.0/);
    const second = await keep(Wire.secured(box.sandbox));
    const token = box.sandbox.mint.accessToken('relay@sandbox.test');
    expect(await second.command(`AUTH XOAUTH2 ${xoauth2('shared@sandbox.test', token)}`)).toMatch(/^535 5\.7\.3/);
  });

  it('denies another mailbox of the tenant after the dot, in envelope and header', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    const denied = '554 5.2.252 SendAsDenied; relay@sandbox.test not allowed to send as other@sandbox.test;';
    expect(await wire.submit(undefined, { from: 'other@sandbox.test' })).toContain(denied);
    expect(await wire.submit('From: "X, Y" <other@sandbox.test>\r\n\r\nx\r\n')).toContain(denied);
    expect(box.sandbox.messages.list()).toEqual([]);
  });

  it('refuses a sender of another organisation at MAIL', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    expect(await wire.command('MAIL FROM:<a@elsewhere.test>')).toMatch(/^550 5\.7\.60 SMTP; Client does not have permissions to send as/);
    expect(await wire.command('MAIL FROM:<>')).toMatch(/^250/);
  });

  it('lets an application send for a mailbox that is open to it, and no other', async () => {
    const token = await applicationToken();
    const wire = await keep(Wire.secured(box.sandbox));
    expect(await wire.command(`AUTH XOAUTH2 ${xoauth2('other@sandbox.test', token)}`)).toMatch(/^235/);
    expect(await wire.submit(undefined, { from: 'other@sandbox.test' })).toMatch(/^250 2\.0\.0/);
    expect(box.sandbox.messages.list().at(-1)).toMatchObject({ isApplication: true, user: 'other@sandbox.test' });
    const closed = await keep(Wire.secured(box.sandbox));
    expect(await closed.command(`AUTH XOAUTH2 ${xoauth2('closed@sandbox.test', token)}`)).toMatch(/^235/);
    expect(await closed.submit(undefined, { from: 'closed@sandbox.test' })).toMatch(/^430 4\.2\.0 STOREDRV; mailbox logon failure/);
    const nobody = await keep(Wire.secured(box.sandbox));
    expect(await nobody.command(`AUTH XOAUTH2 ${xoauth2('nobody@sandbox.test', token)}`)).toMatch(/^535 5\.7\.3/);
  });
});

describe('limits', () => {
  it('refuses MAIL on the fourth connection of a mailbox until one of the first three is gone', async () => {
    const wires = [];
    for (let count = 0; count < 4; count += 1) wires.push(await keep(Wire.signedIn(box.sandbox)));
    const [first, , third, fourth] = wires;
    expect(await third?.command('MAIL FROM:<relay@sandbox.test>')).toMatch(/^250/);
    expect(await fourth?.command('MAIL FROM:<relay@sandbox.test>')).toMatch(/^432 4\.3\.2 Concurrent connections limit exceeded\. Visit /);
    const other = await keep(Wire.signedIn(box.sandbox, 'other@sandbox.test'));
    expect(await other.command('MAIL FROM:<other@sandbox.test>')).toMatch(/^250/);
    const { open: before, mostOpen } = box.sandbox.statistics.submission;
    expect(mostOpen).toBeGreaterThanOrEqual(5);
    await first?.command('QUIT');
    first?.close();
    while (box.sandbox.statistics.submission.open === before) await new Promise((resolve) => setImmediate(resolve));
    expect(await fourth?.command('MAIL FROM:<relay@sandbox.test>')).toMatch(/^250/);
  });

  it('refuses the message after the thirtieth in a minute', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    for (let count = 0; count < 30; count += 1) expect(await wire.submit()).toMatch(/^250/);
    expect(await wire.command('MAIL FROM:<relay@sandbox.test>')).toMatch(
      /^432 4\.3\.2 STOREDRV\.ClientSubmit; sender thread limit exceeded/,
    );
    await box.clock.advance(minutes(1));
    expect(await wire.submit()).toMatch(/^250/);
    box.sandbox.faults.submission.messagesPerMinute = 1;
    expect(await wire.command('MAIL FROM:<relay@sandbox.test>')).toMatch(/^432/);
    box.sandbox.faults.submission.messagesPerMinute = 0;
    expect(await wire.command('MAIL FROM:<relay@sandbox.test>')).toMatch(/^250/);
  });

  it('counts recipients per message and per rolling day', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    box.sandbox.faults.submission.recipientsPerMessage = 2;
    await wire.command('MAIL FROM:<relay@sandbox.test>');
    await wire.command('RCPT TO:<a@example.com>');
    await wire.command('RCPT TO:<b@example.com>');
    expect(await wire.command('RCPT TO:<c@example.com>')).toBe('452 4.5.3 Too many recipients');
    await wire.command('RSET');
    box.sandbox.faults.submission.recipientsPerDay = 3;
    expect(await wire.submit(undefined, { to: ['a@example.com', 'b@example.com'] })).toMatch(/^250/);
    expect(await wire.submit(undefined, { to: ['a@example.com', 'b@example.com'] })).toMatch(
      /^554 5\.2\.0 STOREDRV\.Submission\.Exception:SubmissionQuotaExceededException/,
    );
    expect(await wire.submit()).toMatch(/^250/);
    await box.clock.advance(days(1));
    expect(await wire.submit(undefined, { to: ['a@example.com', 'b@example.com'] })).toMatch(/^250/);
  });

  it('announces 150 MB and holds to MaxSendSize after the dot', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    expect(await wire.command('MAIL FROM:<relay@sandbox.test> SIZE=157286401')).toMatch(/^552 5\.3\.4/);
    box.sandbox.faults.submission.maxSendSize = 1_000;
    const content = `Subject: a\r\n\r\n${'x'.repeat(998)}\r\n`;
    expect(await wire.submit(content)).toBe('552 5.3.4 Message size exceeds fixed maximum message size');
    box.sandbox.faults.submission.maxSendSize = content.length;
    expect(await wire.submit(content)).toMatch(/^250/);
  });

  it.each(['a\nb\r\n', 'a\rb\r\n', 'a\r\n\nb\r\n', '\nb\r\n'])('refuses bare line ends: %j', async (body) => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    expect(await wire.submit(`Subject: a\r\n\r\n${body}`)).toMatch(/^550 5\.6\.11 /);
    box.sandbox.faults.submission.refusesBareLineEnds = false;
    expect(await wire.submit(`Subject: a\r\n\r\n${body}`)).toMatch(/^250/);
  });

  it('can have a full mailbox', async () => {
    box.sandbox.faults.submission.isMailboxFull = true;
    const wire = await keep(Wire.signedIn(box.sandbox));
    expect(await wire.submit()).toMatch(/^554 5\.2\.2 mailbox full/);
  });
});
