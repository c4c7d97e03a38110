/** What `postern check` and `postern doctor` say of the state is what `postern serve` does. */
import { createServer } from 'node:net';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { inspectKey, inspectMachine, openNotices } from '../../../src/app/inspect.ts';
import { loadOrCreateKey, openStateKeys } from '../../../src/platform/key-file.ts';
import { FileTokenStore } from '../../../src/token/file-token-store.ts';
import { grant } from '../../contract/token-store.ts';
import { ConfigFolder } from '../../support/config-folder.ts';
import { MemoryLog } from '../../support/memory-log.ts';

let base: string;
let file: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'postern-inspect-'));
  file = join(base, 'master.key');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(base, { recursive: true });
});

const isOpened = (): Promise<boolean> =>
  openStateKeys(file).then(
    () => true,
    () => false,
  );

describe('the key file', () => {
  const owner = process.getuid?.() ?? 0;
  // Root's file with mode 0440 is what Kubernetes mounts; where the tests do not run as root, a file of another user is refused.
  it.each([owner, owner + 1])('of user ' + owner + ' is judged for user %i as the start judges it, whatever its mode', async (user) => {
    await loadOrCreateKey(file);
    vi.spyOn(process, 'getuid').mockReturnValue(user);
    const verdicts = new Set<boolean>();
    for (const mode of [0o400, 0o600, 0o440, 0o640, 0o444, 0o460, 0o660]) {
      await chmod(file, mode);
      const isUsable = await isOpened();
      expect(await inspectKey(file), mode.toString(8)).toHaveLength(isUsable ? 0 : 1);
      verdicts.add(isUsable);
    }
    expect(verdicts).toContain(false);
  });

  it('that others may read is named, with the step that helps', async () => {
    await loadOrCreateKey(file);
    await chmod(file, 0o604);
    const [notice] = await inspectKey(file);
    expect(notice).toEqual({
      path: 'state.keyFile',
      message: expect.stringMatching(/others may read or write it \(mode 0604\)\. chmod 600/) as string,
    });
  });

  it('that holds no key is named before the start meets it', async () => {
    await writeFile(file, 'not a key\n', { mode: 0o600 });
    expect(await inspectKey(file)).toHaveLength(1);
  });

  it('that is a folder is named', async () => {
    await mkdir(file);
    expect(await inspectKey(file)).toHaveLength(1);
  });

  it('that is not there yet is made at the start where the folder allows it, and not by looking', async () => {
    expect(await inspectKey(join(base, 'later', 'master.key'))).toEqual([]);
    expect(await inspectKey(file)).toEqual([]);
    await expect(rm(file)).rejects.toThrow('ENOENT');
  });
});

it('a port that is taken may be taken by Postern itself, and the text says so', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const place = new ConfigFolder();
  try {
    const yaml = `listeners: { smtp: [{ host: 127.0.0.1, port: ${address.port} }] }\nclients: [{ name: local, networks: [127.0.0.0/8] }]\n`;
    const loaded = await place.load(yaml, { POSTERN_STATE_DIR: base });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    expect(await inspectMachine(loaded.config)).toEqual([
      { path: 'listeners.smtp', message: expect.stringContaining('is in use: by Postern itself where it runs already') as string },
    ]);
  } finally {
    place.remove();
    await new Promise((resolve) => server.close(resolve));
  }
});

describe('that an account has no refreshToken', () => {
  const auth = 'auth: { grant: refresh_token, tenant: contoso.com, clientId: 11111111-2222-3333-4444-555555555555 }';
  const yaml = `accounts:
  - { name: billing, mailbox: billing@contoso.com, ${auth} }
  - { name: sales, mailbox: sales@contoso.com, ${auth} }
clients: [{ name: local, networks: [127.0.0.0/8], account: sales }]
`;
  const folder = new ConfigFolder();
  afterEach(() => folder.remove());

  it('is noted with the command that helps, until somebody has signed in', async () => {
    const loaded = await folder.load(yaml, { POSTERN_STATE_DIR: base });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { config, notices } = loaded;
    const told = async () => (await openNotices(config, notices)).map(({ message }) => message);
    expect(await told()).toEqual([
      expect.stringContaining('sign in with postern login billing;'),
      expect.stringContaining('sign in with postern login sales;'),
    ]);
    await expect(stat(file)).rejects.toThrow('ENOENT'); // Looking makes no key.
    const store = new FileTokenStore({
      directory: join(base, 'tokens'),
      masterKey: await openStateKeys(file),
      log: new MemoryLog(),
    });
    await store.save('sales', grant(1));
    expect(await told()).toEqual([expect.stringContaining('postern login billing;')]);
    await writeFile(file, 'no key\n');
    expect(await told()).toHaveLength(2);
  });
});
