/** What V8 has compiled of the bundle comes with the build, is taken as it is, and is missed by nobody where it is not there. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { projectRoot } from '../support/process.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'postern-build-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `postern version` prints, and behind it whether V8 has turned the cache away; undefined where there was none. */
function runVersion(dist: string, options = ''): string {
  const program = `
    process.argv = [process.argv[0], 'main.js', 'version'];
    const { script } = require(${JSON.stringify(join(dist, 'main.js'))});
    process.once('exit', () => console.log('rejected:', script.cachedDataRejected));
  `;
  return execFileSync(process.execPath, ['-e', program], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: options } });
}

it('is taken, whatever the size of the heap', () => {
  const dist = join(projectRoot, 'dist');
  const taken = /^postern .+\nrejected: false\n$/;
  expect(runVersion(dist)).toMatch(taken);
  expect(runVersion(dist, '--max-old-space-size=128 --max-semi-space-size=8')).toMatch(taken);
});

it('is not needed', () => {
  const dist = join(folder, 'dist');
  cpSync(join(projectRoot, 'dist'), dist, { recursive: true });
  expect(runVersion(dist, '--stack-trace-limit=20')).toMatch(/^postern .+\nrejected: true\n$/);
  rmSync(join(dist, 'postern.js.cache'));
  expect(runVersion(dist)).toMatch(/^postern .+\nrejected: undefined\n$/);
});
