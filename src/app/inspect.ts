/**
 * What `postern check` looks at beyond the configuration itself: whether this machine lets Postern do what it says.
 *
 * @packageDocumentation
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import type { Config, ConfigNotice } from '../config/config.ts';
import type { SmtpListenerSettings } from '../core/listener.ts';
import { ProblemError } from '../core/problem.ts';
import { isKeyFileThere } from '../platform/key-file.ts';
import { describeAccounts } from './token-desk.ts';

/** @returns One entry for each thing that would keep `postern serve` from working here. */
export async function inspectMachine(config: Config): Promise<ConfigNotice[]> {
  const found = await Promise.all([
    inspectState(config.state.dir),
    inspectKey(config.state.keyFile),
    ...config.listeners.smtp.map(inspectPort),
  ]);
  return found.flat();
}

/** The notices without those that the stored grants have settled. */
export async function openNotices(config: Config, notices: readonly ConfigNotice[]): Promise<readonly ConfigNotice[]> {
  const questions = notices.filter(({ topic }) => topic === 'no-refresh-token');
  if (questions.length === 0) return notices;
  const missing = await accountsWithoutToken(config);
  const paths = new Set(config.accounts.flatMap(({ name }, index) => (missing.has(name) ? [`accounts[${index}].auth`] : [])));
  return notices.filter(({ topic, path }) => topic !== 'no-refresh-token' || paths.has(path));
}

/** All of them where the store cannot be opened, which is a problem of its own. */
async function accountsWithoutToken(config: Config): Promise<ReadonlySet<string>> {
  try {
    const facts = await describeAccounts(config, config.accounts);
    return new Set(facts.filter(({ token }) => token === 'missing' || token === 'unreadable').map(({ name }) => name));
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return new Set(config.accounts.map(({ name }) => name));
  }
}

/** What keeps the state directory from being used, or lets others at it. */
export async function inspectState(dir: string): Promise<ConfigNotice[]> {
  const path = 'state.dir';
  try {
    const folder = await stat(dir);
    if (!folder.isDirectory()) return [{ path, message: `${dir} is not a directory` }];
    if ((folder.mode & 0o022) !== 0) return [{ path, message: `${dir} can be written by others: chmod 0700 ${dir}` }];
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    return [];
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return inspectParent(path, dir);
    return [{ path, message: `${dir} cannot be written by this user (${codeOf(error)})` }];
  }
}

/** What is not there yet is made at the first start, if the nearest folder above allows it. */
async function inspectParent(path: string, dir: string): Promise<ConfigNotice[]> {
  const parent = dirname(dir);
  try {
    await access(parent, constants.W_OK | constants.X_OK);
    return [];
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && parent !== dir) return inspectParent(path, parent);
    return [{ path, message: `${dir} cannot be created: ${parent} cannot be written by this user (${codeOf(error)})` }];
  }
}

/** The same for the key file, by the very rule that `postern serve` reads it with. */
export async function inspectKey(file: string): Promise<ConfigNotice[]> {
  const path = 'state.keyFile';
  try {
    return (await isKeyFileThere(file)) ? [] : await inspectParent(path, file);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return [{ path, message: `${error.problem.cause}. ${error.problem.remedy}` }];
  }
}

/** A port held by a running Postern counts as a problem too: `check` then says so, and `serve` would fail. */
function inspectPort({ name, host, port }: SmtpListenerSettings): Promise<ConfigNotice[]> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => {
      const reason =
        codeOf(error) === 'EADDRINUSE'
          ? 'is in use: by Postern itself where it runs already, else ss -ltnp shows by which program'
          : `cannot be opened (${codeOf(error)})`;
      resolve([{ path: 'listeners.smtp', message: `${name} ${reason}` }]);
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve([])));
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
