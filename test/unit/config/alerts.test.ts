/** The section `alerts`, and the day on which a client secret ends. */
import { afterAll, describe, expect, it } from 'vitest';
import { ALERT_EVENTS } from '../../../src/core/alert.ts';
import { ConfigFolder, configOf, noticesOf, problemsOf } from '../../support/config-folder.ts';
import { account, ENTRA, GOOD_CLIENT } from './bad-configs.ts';

const folder = new ConfigFolder();
afterAll(() => folder.remove());

const SECRET = '0123456789abcdef0123456789abcdef';
const TOKEN = 'T0CANARY0webhook0token';

describe('a webhook', () => {
  it('gets all events unless told', async () => {
    const { alerts } = configOf(await folder.load(`alerts: [{ webhook: "https://hooks.contoso.com/${TOKEN}" }]`));
    expect(alerts).toEqual([{ webhook: `https://hooks.contoso.com/${TOKEN}`, events: ALERT_EVENTS }]);
  });

  it('gets those it asks for, signed, and several may be named', async () => {
    folder.write('hook', `https://hooks.contoso.com/${TOKEN}\n`);
    const yaml = `alerts:
  - { webhook: "\${file:hook}", events: [reauth_required, recovered], secret: ${SECRET} }
  - { webhook: "http://127.0.0.1:9000/x", events: [dead_letter] }
`;
    const { alerts, secrets } = configOf(await folder.load(yaml));
    expect(alerts).toEqual([
      { webhook: `https://hooks.contoso.com/${TOKEN}`, events: ['reauth_required', 'recovered'], secret: SECRET },
      { webhook: 'http://127.0.0.1:9000/x', events: ['dead_letter'] },
    ]);
    expect(secrets).toEqual(expect.arrayContaining([SECRET, `https://hooks.contoso.com/${TOKEN}`]));
  });

  it('there may be none', async () => {
    expect(configOf(await folder.load('log: {}')).alerts).toEqual([]);
  });

  it.each([
    [`http://hooks.contoso.com/${TOKEN}`, 'without TLS only a loopback address'],
    [`http://127.0.0.1.contoso.com/${TOKEN}`, 'without TLS only a loopback address'],
    [`ftp://hooks.contoso.com/${TOKEN}`, 'must start with https://'],
    [`hooks.contoso.com/${TOKEN}`, 'is not a URL'],
    [`https://user:pass@hooks.contoso.com/${TOKEN}`, 'user name or password'],
    [`https://hooks.contoso.com/${TOKEN}#top`, 'fragment'],
    [`https://hooks.contoso.com/{tenant}/${TOKEN}`, 'placeholder'],
    [`https://hooks.contoso.com/<${TOKEN}>`, 'placeholder'],
  ])('%s is refused and not repeated', async (webhook, message) => {
    const problems = problemsOf(await folder.load(`log: {}\nalerts:\n  - webhook: "${webhook}"\n`));
    expect(problems).toMatchObject([{ path: 'alerts[0].webhook', line: 3, message: expect.stringContaining(message) as string }]);
    expect(JSON.stringify(problems)).not.toContain('CANARY');
  });

  it('may not name unknown events', async () => {
    const problems = problemsOf(await folder.load('alerts: [{ webhook: "https://h.contoso.com/x", events: [reauth_requird] }]'));
    expect(problems).toMatchObject([{ path: 'alerts[0].events[0]', suggestion: 'reauth_required' }]);
  });

  it('should have a secret that nobody guesses', async () => {
    const notices = noticesOf(await folder.load(`${GOOD_CLIENT}alerts: [{ webhook: "https://h.contoso.com/x", secret: hunter2 }]`));
    expect(notices).toMatchObject([{ path: 'alerts[0].secret', message: expect.stringContaining('short') as string }]);
    expect(JSON.stringify(notices)).not.toContain('hunter2');
  });
});

describe('the end of a client secret', () => {
  const load = (day: string, grant = 'refresh_token') =>
    folder.load(account(`grant: ${grant}, ${ENTRA}, clientSecret: Abc8Q~x, clientSecretExpires: ${day}`));

  it.each(['refresh_token', 'client_credentials'])('is known with grant %s', async (grant) => {
    for (const day of ['2027-03-01', '"2027-03-01"']) {
      const [first] = configOf(await load(day, grant)).accounts;
      expect(first?.auth).toMatchObject({ clientSecretExpires: Date.UTC(2027, 2, 1) });
    }
  });

  it.each(['2027-02-30', '2027-13-01', '01.03.2027', '2027-3-1', '20270301', '2027-03-01T00:00:00Z', 'soon'])('is not %s', async (day) => {
    expect(problemsOf(await load(day))).toMatchObject([
      { path: 'accounts[0].auth.clientSecretExpires', message: expect.stringContaining('2027-03-01') as string },
    ]);
  });
});
