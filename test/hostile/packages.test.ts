/** What is installed, package by package, beside what the lock file says; supply.test.ts has the lock file itself and the bill of materials. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../support/process.ts';

interface Manifest {
  readonly version: string;
  readonly scripts?: Readonly<Record<string, string>>;
}

const readJson = (...path: string[]): unknown => JSON.parse(readFileSync(join(projectRoot, ...path), 'utf8')) as unknown;
const manifestOf = (path: string): Manifest => readJson(path, 'package.json') as Manifest;

const { packages } = readJson('package-lock.json') as {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>;
};
const production = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);

describe('X08 the packages that run', () => {
  it('are installed in the versions of the lock file', () => {
    expect(production.length).toBeGreaterThan(20);
    const installed = production.map(([path]) => `${path}@${manifestOf(path).version}`);
    expect(installed).toEqual(production.map(([path, { version }]) => `${path}@${version}`));
  });

  it('run nothing while they are installed', () => {
    const running = production.flatMap(([path]) =>
      ['preinstall', 'install', 'postinstall']
        .filter((name) => manifestOf(path).scripts?.[name] !== undefined)
        .map((name) => `${path} ${name}`),
    );
    expect(running).toEqual([]);
  });
});
