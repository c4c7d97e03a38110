/**
 * Bundles src/main.ts into dist/: one entry and lazily loaded chunks, most libraries included, with their licences; and src/page, for browsers, into dist/page/. Types are
 * checked by `npm run check:types`, not here, so that a first start takes milliseconds.
 *
 * Libraries are bundled since a start would else read some 300 files of them, of which most functions are never called (docs/performance.md). Nothing is minified, so that
 * stacks in a log say what they said before.
 */
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

/** Loaded only when needed, so that they cost a start nothing. They stay in node_modules: esbuild gives `import()` of CommonJS no named exports, as Node does. */
const LOADED_LATER = ['imapflow', 'node-forge', 'postal-mime'];

/** CommonJS that is loaded later and is one thing, the default (src/platform/http-agent.ts). */
const ONE_EXPORT = 'node_modules/undici/lib/';

/** Builds beside dist/ and swaps, so that a process starting meanwhile finds either the old build or the new one. */
export async function buildPostern() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const fresh = `${dist}.new-${process.pid}`;
  const old = `${dist}.old-${process.pid}`;
  try {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [join(root, 'src/main.ts')],
      outdir: fresh,
      bundle: true,
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      external: LOADED_LATER,
      // Libraries in CommonJS ask for Node's own modules in this way.
      banner: { js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);" },
      legalComments: 'none',
      metafile: true,
      sourcemap: 'linked',
      define: { POSTERN_VERSION: JSON.stringify(version) },
      logLevel: 'warning',
    });
    refuseNameless(metafile.inputs);
    writeFileSync(join(fresh, 'THIRD-PARTY.txt'), licencesOf(Object.keys(metafile.inputs)));
    await buildPage(join(fresh, 'page'));
    if (statSync(dist, { throwIfNoEntry: false }) !== undefined) renameSync(dist, old);
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/** @throws Error where the bundle holds CommonJS that is loaded later: see {@link LOADED_LATER}. */
function refuseNameless(inputs) {
  const later = Object.values(inputs).flatMap(({ imports }) =>
    imports.filter(({ kind, external }) => kind === 'dynamic-import' && external !== true),
  );
  const nameless = later.map(({ path }) => path).filter((path) => inputs[path]?.format === 'cjs' && !path.startsWith(ONE_EXPORT));
  if (nameless.length > 0) throw new Error(`CommonJS that is loaded with import() has to be among LOADED_LATER: ${nameless.join(', ')}`);
}

/** What the libraries in the bundle want to be said of them: each with its version and the text of its licence. */
function licencesOf(inputs) {
  const folders = new Set(inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
  const parts = [...folders]
    .sort((one, other) => (one < other ? -1 : 1))
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
      const texts = readdirSync(join(root, folder)).filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file));
      return [`${name} ${version} (${license})`, ...texts.map((file) => readFileSync(join(root, folder, file), 'utf8').trim())].join(
        '\n\n',
      );
    });
  return `Postern includes these libraries.\n\n${parts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
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
