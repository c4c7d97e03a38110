/** What an installation brings: what the lock file says, with a digest each, and nothing that runs while it is installed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot, RunningProcess } from '../support/process.ts';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

interface Bill {
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly hashes?: readonly { readonly content: string }[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

const { packages } = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};
const production = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
const locked = Object.entries(packages).filter(([path]) => path !== '');
const read = (name: string): string => readFileSync(join(projectRoot, name), 'utf8');
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

describe('X08 the packages of a production installation', () => {
  it('have a digest each', () => {
    expect(production.length).toBeGreaterThan(10);
    expect(production.filter(([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? '')).map(([path]) => path)).toEqual(
      [],
    );
  });

  it('run nothing while they are installed', () => {
    expect(production.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path)).toEqual([]);
    const scripts = production.flatMap(([path]) => {
      const manifest = JSON.parse(readFileSync(join(projectRoot, path, 'package.json'), 'utf8')) as { scripts?: Record<string, string> };
      return ['preinstall', 'install', 'postinstall']
        .filter((name) => manifest.scripts?.[name] !== undefined)
        .map((name) => `${path} ${name}`);
    });
    expect(scripts).toEqual([]);
  });

  it('are those of the SBOM, with the digests that the lock file has', { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await new RunningProcess('npm', ['run', '-s', 'sbom']).end();
    expect([code, stderr]).toEqual([0, '']);
    const { components, dependencies } = JSON.parse(stdout) as Bill;
    const digests = new Set(components.flatMap(({ hashes = [] }) => hashes.map(({ content }) => content)));
    const locked = production.map(([, { integrity = '' }]) => Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex'));
    expect(locked.filter((digest) => !digests.has(digest))).toEqual([]);
    const known = new Set(dependencies.map(({ ref }) => ref));
    expect(dependencies.flatMap(({ dependsOn = [] }) => dependsOn).filter((ref) => !known.has(ref))).toEqual([]);
    expect(components.map(({ name, version }) => `${name}@${version}`).sort()).toEqual(
      production.map(([path, { version }]) => `${nameOf(path)}@${version}`).sort(),
    );
  });

  it('are installed in these versions', () => {
    const installed = production.map(([path]) => {
      const { version } = JSON.parse(readFileSync(join(projectRoot, path, 'package.json'), 'utf8')) as { version: string };
      return `${path}@${version}`;
    });
    expect(installed).toEqual(production.map(([path, { version }]) => `${path}@${version}`));
  });
});

describe('X08 the lock file', () => {
  it('pins every package with its hash; those without are optional ones of other platforms', () => {
    const manifest = JSON.parse(read('package.json')) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
    }
    const without = locked.filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true);
    for (const [path, { optional, os, cpu }] of without)
      expect([path, optional === true && (os ?? cpu) !== undefined]).toEqual([path, true]);
  });

  it('names no host, so that no other one can be asked', () => {
    expect(locked.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
    expect(read('package-lock.json')).not.toContain('registry');
  });

  it('has one install script among the tools of developers, which the image does not run', () => {
    expect(locked.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path)).toEqual(['node_modules/esbuild']);
    expect(read('Dockerfile')).toContain('npm ci --omit=dev --ignore-scripts');
  });
});
