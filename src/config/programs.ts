/**
 * Whether a program that the configuration names can be run.
 *
 * @packageDocumentation
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { resolve } from 'node:path';

/**
 * @param folder - That relative paths start from.
 * @param searchPath - `PATH`; names without a slash are looked for there.
 * @returns What is wrong with it; undefined where it can be run.
 */
export async function findProgram(program: string, folder: string, searchPath: string | undefined): Promise<string | undefined> {
  if (program.includes('/')) return checkProgram(resolve(folder, program));
  for (const directory of (searchPath ?? '').split(':').filter((part) => part !== '')) {
    if ((await checkProgram(resolve(directory, program))) === undefined) return undefined;
  }
  return `there is no program ${program} in PATH`;
}

async function checkProgram(file: string): Promise<string | undefined> {
  try {
    const status = await stat(file);
    if (!status.isFile()) return `${file} is not a program`;
    await access(file, constants.X_OK);
    // Who may change the program may have every token.
    return (status.mode & 0o002) === 0 ? undefined : `${file} may be written by everybody: chmod o-w it`;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'ENOENT' ? `there is no such file: ${file}` : `${file} cannot be run by this user`;
  }
}
