/** What SECURITY.md says of the packages that Postern is made of, compared with the lock file. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { projectRoot } from '../support/process.ts';

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

const read = (name: string): string => readFileSync(join(projectRoot, name), 'utf8');
const lock = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, Locked>> };
const locked = Object.entries(lock.packages).filter(([place]) => place !== '');
const needed = locked.filter(([, { dev }]) => dev !== true);

it('every package is pinned and has its hash; those without are optional ones of other platforms', () => {
  const manifest = JSON.parse(read('package.json')) as Readonly<
    Record<'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
  >;
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
  }
  expect(Object.keys(manifest.dependencies)).toHaveLength(9);
  const without = locked.filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true);
  for (const [place, { optional, os, cpu }] of without)
    expect([place, optional === true && (os ?? cpu) !== undefined]).toEqual([place, true]);
  expect(needed.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
});

it('the lock file names no host, so that no other one can be asked', () => {
  expect(locked.filter(([, { resolved }]) => resolved !== undefined).map(([place]) => place)).toEqual([]);
  expect(read('package-lock.json')).not.toContain('registry');
});

it('nothing that runs has an install script', () => {
  expect(needed.filter(([, { hasInstallScript }]) => hasInstallScript === true)).toEqual([]);
  expect(locked.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([place]) => place)).toEqual(['node_modules/esbuild']);
  expect(read('Dockerfile')).toContain('npm ci --omit=dev --ignore-scripts');
});

interface Component {
  readonly name: string;
  readonly version: string;
  readonly properties?: readonly { readonly name: string }[];
}

it('the bill of materials is what the lock file says', { timeout: 60_000 }, () => {
  const options = { cwd: projectRoot, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const;
  const text = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx'], options);
  const { components } = JSON.parse(text) as { readonly components: readonly Component[] };
  const running = components.filter(({ properties = [] }) => !properties.some(({ name }) => name === 'cdx:npm:package:development'));
  const listed = new Set(running.map(({ name, version }) => `${name}@${version}`));
  const locks = new Set(needed.map(([place, { version }]) => `${place.split('node_modules/').at(-1)}@${version}`));
  expect([...listed].sort()).toEqual([...locks].sort());
  expect(listed.size).toBeGreaterThan(20);
});
