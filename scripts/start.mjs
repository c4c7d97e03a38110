/** `npm start`: builds when dist/ is missing or older than a source file, then runs `postern serve` in this same process. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function newest(directory) {
  return Math.max(
    ...readdirSync(directory, { withFileTypes: true, recursive: true }).map((entry) =>
      entry.isFile() ? statSync(join(entry.parentPath, entry.name)).mtimeMs : 0,
    ),
  );
}

function isStale() {
  const built = statSync(join(root, 'dist/main.js'), { throwIfNoEntry: false });
  if (built === undefined) return true;
  const sources = Math.max(newest(join(root, 'src')), statSync(join(root, 'package.json')).mtimeMs);
  return sources > built.mtimeMs;
}

if (isStale()) await (await import('./build.mjs')).buildPostern();
process.argv = [process.argv[0], join(root, 'dist/main.js'), 'serve', ...process.argv.slice(2)];
await import(new URL('../dist/main.js', import.meta.url).href);
