/**
 * What resolving a configuration needs besides the configuration.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { ConfigFiles } from './files.ts';
import type { Findings } from './findings.ts';

/** Where files are, what is known of the process, and what is found. */
export interface Surroundings {
  readonly files: ConfigFiles;
  readonly findings: Findings;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Certificates end. */
  readonly now: EpochMs;
  /** Secrets that come out of files; added to those that stand in the configuration. */
  readonly secrets: Set<string>;
}
