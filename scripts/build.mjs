/**
 * Bundles src/ into dist/: postern.js is the program, most libraries included, with their licences; main.js is what Node runs (src/launch.ts), which gives it to V8 together with
 * postern.js.cache, what V8 has compiled of it before (scripts/code-cache.mjs); and src/page, for browsers, becomes dist/page/. Types are checked by `npm run check:types`, not here.
 *
 * One file, in which a module is evaluated when it is first asked for: a start would else find and read hundreds of them (docs/performance.md). Nothing is minified, so that stacks
 * in a log say what they said before.
 */
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { makeCodeCache } from './code-cache.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

/** Loaded only when needed, and too large to be carried along by everybody: these stay in node_modules. */
const LOADED_LATER = ['imapflow', 'node-forge', 'postal-mime'];

/**
 * pino can log in a thread of its own, which nobody here asks for, and its way to standard output asserts one thing. Without worker_threads and assert of Node, which would be
 * loaded for that, a start takes some 10 ms less.
 */
const LESS_OF_PINO = {
  name: 'less-of-pino',
  setup(building) {
    const parts = {
      'thread-stream': "module.exports = class { constructor() { throw new Error('logging in a thread is not part of Postern'); } };",
      worker_threads: 'exports.isMainThread = true;',
      assert: 'module.exports = (value, message) => { if (!value) throw new Error(message); };',
    };
    building.onResolve({ filter: /^(?:thread-stream|worker_threads|assert)$/ }, ({ path, importer }) =>
      /node_modules\/(?:pino|sonic-boom)\//.test(importer) ? { path, namespace: 'part-of-pino' } : undefined,
    );
    building.onLoad({ filter: /^/, namespace: 'part-of-pino' }, ({ path }) => ({ contents: parts[path] }));
  },
};

/** Around the bundle: a function (`Program` in src/launch.ts), to which modules of the project are as strict as they were written. */
const HEAD =
  "(function (require, file) { 'use strict'; const module = { exports: {} }; const bundleUrl = require('node:url').pathToFileURL(file).href;";
const FOOT = '})';

/** Builds beside dist/ and swaps, so that a process starting meanwhile finds either the old build or the new one. */
export async function buildPostern() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const fresh = `${dist}.new-${process.pid}`;
  const old = `${dist}.old-${process.pid}`;
  try {
    const common = {
      absWorkingDir: root,
      bundle: true,
      format: 'cjs',
      platform: 'node',
      target: 'node20.19',
      legalComments: 'none',
      logLevel: 'warning',
    };
    const { metafile } = await build({
      ...common,
      entryPoints: [join(root, 'src/main.ts')],
      outfile: join(fresh, 'postern.js'),
      external: LOADED_LATER,
      plugins: [LESS_OF_PINO],
      // Node 20 cannot follow `import()` in code that comes from a cache: `require()` it is.
      supported: { 'dynamic-import': false },
      banner: { js: HEAD },
      footer: { js: FOOT },
      metafile: true,
      sourcemap: 'linked',
      define: { POSTERN_VERSION: JSON.stringify(version), 'import.meta.url': 'bundleUrl' },
    });
    refuseWideText(readFileSync(join(fresh, 'postern.js'), 'utf8'));
    await build({ ...common, entryPoints: [join(root, 'src/launch.ts')], outfile: join(fresh, 'main.js') });
    writeFileSync(join(fresh, 'package.json'), '{ "type": "commonjs" }\n');
    writeFileSync(join(fresh, 'THIRD-PARTY.txt'), licencesOf(Object.keys(metafile.inputs)));
    await buildPage(join(fresh, 'page'));
    // Nothing depends on it: a machine on which no relay can be run while it builds gets a build all the same.
    await makeCodeCache(fresh).catch((error) =>
      console.warn(`A start will take longer, since no code cache could be made: ${error.message}`),
    );
    if (statSync(dist, { throwIfNoEntry: false }) !== undefined) renameSync(dist, old);
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/**
 * Outside of comments, which nobody reads there, esbuild writes ASCII. So the bundle is read as Latin-1: as UTF-8 it would take twice its size in memory.
 *
 * @throws Error where that is not so.
 */
function refuseWideText(bundle) {
  const wide = bundle.split('\n').find((line) => /[^\0-\x7f]/.test(line) && !/^\s*(?:\/\/|\/?\*)/.test(line));
  if (wide !== undefined) throw new Error(`the bundle has to be ASCII outside of comments: ${wide.trim()}`);
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
