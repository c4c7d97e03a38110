/**
 * Bundles src/main.ts into dist/: one entry and lazily loaded chunks, libraries left to node_modules; and src/page, for browsers, into dist/page/. Types are checked by
 * `npm run check:types`, not here, so that a first start takes milliseconds.
 */
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

/** Builds beside dist/ and swaps, so that a process starting meanwhile finds either the old build or the new one. */
export async function buildPostern() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const fresh = `${dist}.new-${process.pid}`;
  const old = `${dist}.old-${process.pid}`;
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [join(root, 'src/main.ts')],
      outdir: fresh,
      bundle: true,
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      packages: 'external',
      sourcemap: 'linked',
      define: { POSTERN_VERSION: JSON.stringify(version) },
      logLevel: 'warning',
    });
    await buildPage(join(fresh, 'page'));
    if (statSync(dist, { throwIfNoEntry: false }) !== undefined) renameSync(dist, old);
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/** The admin page and the one of guests: a script for browsers each, and the files that stay as they are. */
async function buildPage(outdir) {
  const page = join(root, 'src/page');
  await build({
    absWorkingDir: root,
    entryPoints: { page: join(page, 'main.ts'), guest: join(page, 'guest.ts') },
    outdir,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
  });
  for (const name of ['index.html', 'guest.html', 'page.css', 'icon.svg']) copyFileSync(join(page, name), join(outdir, name));
}

/** Builds where dist/ is missing or older than a source file. */
export async function ensureBuilt() {
  if (isStale()) await buildPostern();
}

function isStale() {
  const built = statSync(join(dist, 'main.js'), { throwIfNoEntry: false });
  return built === undefined || Math.max(newest(join(root, 'src')), statSync(join(root, 'package.json')).mtimeMs) > built.mtimeMs;
}

function newest(directory) {
  const files = readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  return Math.max(...files.map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPostern();
