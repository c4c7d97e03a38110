/**
 * `npm run -s sbom`: the bill of materials of a production installation, CycloneDX in JSON, on standard output.
 *
 * npm makes it, of the lock file. What development alone needs is taken out here: `npm sbom --omit=dev` (npm 11) also leaves out what both need, zod and
 * yaml among them.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { packages } = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));
const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
const needed = new Set(
  Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path, { version }]) => `${nameOf(path)}@${version}`),
);

const args = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'];
const bill = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }));
const isNeeded = ({ name, version }) => needed.has(`${name}@${version}`);
const components = bill.components.filter(isNeeded);
const references = new Set([bill.metadata.component['bom-ref'], ...components.map((component) => component['bom-ref'])]);
const dependencies = bill.dependencies
  .filter(({ ref }) => references.has(ref))
  .map((entry) => ({ ...entry, dependsOn: (entry.dependsOn ?? []).filter((ref) => references.has(ref)) }));

process.stdout.write(`${JSON.stringify({ ...bill, components, dependencies }, null, 2)}\n`);
