/** The first login with the old password takes everything over; no other does anything. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { SealedCredentials } from '../../../src/core/client.ts';
import type { EpochMs } from '../../../src/core/clock.ts';
import { withImportedLogins } from '../../../src/token/imported-logins.ts';
import { ImportedPasswords } from '../../../src/token/imported-passwords.ts';
import { testAccount, testClient } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { sealWith } from '../../support/fernet.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenStore } from '../../support/memory-token-store.ts';

let folder: string;
let store: MemoryTokenStore;
let tried: string[];
let log: MemoryLog;
const seal = sealWith('old pässword');
const sealed: SealedCredentials = { salt: seal.salt, iterations: seal.iterations, refreshToken: seal.seal('old-refresh-token') };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-imported-'));
  store = new MemoryTokenStore();
  tried = [];
  log = new MemoryLog();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A Postern that has just started. */
function started(credentials: SealedCredentials = sealed): (password: string) => Promise<string> {
  const subject = testAccount({ auth: { grant: 'refresh_token', tenant: 'tenant', clientId: 'test-client' } });
  const client = testClient({ login: { username: 'erp', secret: { kind: 'sealed', sealed: credentials } } });
  const onGrant = async (name: string): Promise<void> => void tried.push(name);
  const deps = {
    store,
    passwords: new ImportedPasswords(join(folder, 'imported')),
    clock: new FakeClock(),
    log,
    redactor: { add: () => undefined },
    onGrant,
  };
  const secret = withImportedLogins([client], [subject], deps)[0]?.login?.secret;
  if (secret?.kind !== 'asked') throw new Error('nobody is asked');
  return secret.ask;
}

const NAME = 'billing';
const stored = async () => store.load(NAME);

it('the right password makes the token the grant, and counts from then on, over restarts', async () => {
  const ask = started();
  expect(await ask('old pässword')).toBe('right');
  expect(await stored()).toMatchObject({ refreshToken: 'old-refresh-token', generation: 1 });
  expect(tried).toEqual([NAME]);
  expect([await ask('old pässword'), await ask('other')]).toEqual(['right', 'wrong']);
  const again = started();
  expect([await again('other'), await again('old pässword')]).toEqual(['wrong', 'right']);
  expect(tried).toHaveLength(1);
  const [file = ''] = readdirSync(join(folder, 'imported'));
  expect(readFileSync(join(folder, 'imported', file), 'utf8')).not.toMatch(/old/);
});

it('a wrong password leaves everything as it was', async () => {
  expect(await started()('wrong')).toBe('wrong');
  expect(await stored()).toBeUndefined();
  expect(existsSync(join(folder, 'imported'))).toBe(false);
  expect(tried).toEqual([]);
});

it('ten logins at once are one takeover', async () => {
  const ask = started();
  expect(new Set(await Promise.all(Array.from({ length: 10 }, async () => ask('old pässword'))))).toEqual(new Set(['right']));
  expect((await stored())?.generation).toBe(1);
});

it('does not bury what came later: a rotated token, or a sign-in', async () => {
  await started()('old pässword');
  const grant = await stored();
  if (grant === undefined) throw new Error('nothing stored');
  await store.save(NAME, { ...grant, refreshToken: 'rotated', generation: 7 });
  rmSync(join(folder, 'imported'), { recursive: true }); // As after a kill between the two steps.
  expect(await started()('old pässword')).toBe('right');
  expect((await stored())?.refreshToken).toBe('rotated');
  await store.save(NAME, { refreshToken: 'signed-in', generation: 8, savedAt: 0 as EpochMs });
  const newer = { ...sealed, refreshToken: seal.seal('another') };
  expect(await started(newer)('old pässword')).toBe('right');
  expect((await stored())?.refreshToken).toBe('signed-in');
});

it('importing again wins over what an earlier import has brought', async () => {
  await started()('old pässword');
  const other = sealWith('new password');
  const ask = started({ salt: other.salt, iterations: other.iterations, refreshToken: other.seal('newer-refresh-token') });
  expect([await ask('old pässword'), await ask('new password')]).toEqual(['wrong', 'right']);
  expect(await stored()).toMatchObject({ refreshToken: 'newer-refresh-token', generation: 2 });
});

it('an access token proves the password and is not taken over', async () => {
  const ask = started({ salt: seal.salt, iterations: seal.iterations, accessToken: seal.seal('expired') });
  expect([await ask('wrong'), await ask('old pässword')]).toEqual(['wrong', 'right']);
  expect(await stored()).toBeUndefined();
});

it('says that the state cannot be written, and keeps no half', async () => {
  writeFileSync(join(folder, 'imported'), 'a file in the way');
  expect(await started()('old pässword')).toBe('busy');
  expect(log.lines.some((line) => JSON.stringify(line).includes('IMPORT_STATE_FAILED'))).toBe(true);
});
