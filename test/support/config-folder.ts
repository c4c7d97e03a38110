/**
 * A folder with a configuration file and the files that it names, for tests of loading.
 *
 * @packageDocumentation
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config, ConfigNotice, ConfigProblem, LoadResult } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

export class ConfigFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'postern-config-'));

  /** @param mode - 0600 unless told, so that no notice about readers comes up. */
  write(name: string, content: string | Uint8Array, mode = 0o600): string {
    const file = join(this.path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, mode);
    return file;
  }

  /** Load `yaml` as postern.yaml in this folder. */
  load(yaml: string, env: Readonly<Record<string, string>> = {}): Promise<LoadResult> {
    return loadConfig({ file: this.write('postern.yaml', yaml), env, cwd: this.path });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The configuration, or a failure that shows all problems. */
export function configOf(result: LoadResult): Config {
  if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 2));
  return result.config;
}

/** The notices of a good configuration, or a failure that shows all problems. */
export function noticesOf(result: LoadResult): readonly ConfigNotice[] {
  if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 2));
  return result.notices;
}

/** All problems; none of a good configuration. */
export function problemsOf(result: LoadResult): readonly ConfigProblem[] {
  return result.ok ? [] : result.problems;
}
