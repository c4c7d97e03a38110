/**
 * Puts into a folder what the last stage of the Dockerfile copies into /app, without Docker: for a look at what is shipped, and for the test that
 * runs it locked in. Usage: node scripts/image-content.mjs FOLDER
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Folders of the packages that run, as `npm ls` names them, relative to the project. */
export function productionPackages() {
  const output = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: root, encoding: 'utf8' });
  return output
    .trim()
    .split('\n')
    .map((path) => relative(root, path))
    .filter((path) => path.startsWith('node_modules'));
}

/** Names that the last stage copies into /app. */
export function copiedNames() {
  const stage =
    readFileSync(join(root, 'Dockerfile'), 'utf8')
      .split(/^FROM /m)
      .at(-1) ?? '';
  return [...stage.matchAll(/^COPY (?:--\S+ )*(.+)$/gm)].flatMap(([, words = '']) => {
    const names = words.split(' ');
    const target = names.pop() ?? '';
    return target === './' ? names : [target];
  });
}

export async function stageImage(folder) {
  await ensureBuilt();
  mkdirSync(folder, { recursive: true });
  for (const name of copiedNames()) if (name !== 'node_modules') cpSync(join(root, name), join(folder, name), { recursive: true });
  for (const path of productionPackages()) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    const own = (source) => !relative(join(root, path), source).split('/').includes('node_modules');
    cpSync(join(root, path), join(folder, path), { recursive: true, filter: own });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: node scripts/image-content.mjs FOLDER');
  await stageImage(folder);
}
