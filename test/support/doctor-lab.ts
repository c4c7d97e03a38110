/**
 * An account on the sandbox and a doctor for it, composed as `postern doctor` composes it.
 *
 * @packageDocumentation
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { examine } from '../../src/app/doctor.ts';
import type { LoadResult } from '../../src/config/config.ts';
import type { CheckName, Outcome } from '../../src/doctor/check.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { ConfigFolder } from './config-folder.ts';
import { MemoryLog } from './memory-log.ts';

/** Keys take most of a sandbox's start; the sandboxes of one test file share theirs. */
const sandboxState = mkdtempSync(join(tmpdir(), 'postern-doctor-'));
process.once('exit', () => rmSync(sandboxState, { recursive: true, force: true }));

export const MAILBOX = 'billing@sandbox.test';

/** Merged over the lab's own provider, account, `auth` and whole document. */
export interface LabChanges {
  readonly provider?: object;
  readonly account?: object;
  readonly auth?: object;
  readonly document?: object;
}

/** One examination, by check. */
export interface Diagnosis {
  readonly outcomes: readonly Outcome[];
  of(check: CheckName): Outcome;
  /** Checks with this result. */
  named(result: Outcome['result']): CheckName[];
}

export class DoctorLab {
  readonly sandbox: Sandbox;
  readonly folder = new ConfigFolder();
  /** Secrets that no output may hold; mint more with {@link refreshToken}. */
  readonly secrets: string[] = [];

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    this.secrets.push(sandbox.clientSecret);
    this.folder.write('ca.pem', sandbox.caPem);
  }

  static async start(): Promise<DoctorLab> {
    const options = { clock: systemClock, random: systemRandom, log: new MemoryLog(), stateDir: sandboxState };
    return new DoctorLab(await startSandbox({ ...options, ports: { http: 0, smtp: 0 } }));
  }

  refreshToken(mailbox = MAILBOX): string {
    const token = this.sandbox.mint.refreshToken(mailbox);
    this.secrets.push(token);
    return token;
  }

  /** The YAML text of a configuration with the account `billing`. */
  yaml({ provider, account, auth, document }: LabChanges = {}): string {
    const { sandbox } = this;
    const { tenant, clientId, clientSecret, tokenUrl } = sandbox;
    return stringify({
      state: { dir: './var' },
      providers: {
        lab: { extends: 'sandbox', tokenUrl, smtp: { ...sandbox.smtp, tls: 'starttls' }, caFile: './ca.pem', ...provider },
      },
      accounts: [
        {
          name: 'billing',
          provider: 'lab',
          mailbox: MAILBOX,
          auth: { grant: 'refresh_token', tenant, clientId, clientSecret, refreshToken: this.refreshToken(), ...auth },
          ...account,
        },
      ],
      ...document,
    });
  }

  load(changes: LabChanges = {}): Promise<LoadResult> {
    return this.folder.load(this.yaml(changes));
  }

  /** Examine the account. A second call finds the state that the first has left. */
  async examine(changes: LabChanges = {}): Promise<Diagnosis> {
    return diagnose(await this.load(changes));
  }

  async close(): Promise<void> {
    await this.sandbox.close();
    this.folder.remove();
  }
}

/** Examine the first account of a configuration. */
export function diagnose(loaded: LoadResult): Promise<Diagnosis> {
  return diagnoseAccount(loaded, loaded.ok ? loaded.config.accounts[0]?.name : undefined);
}

export async function diagnoseAccount(loaded: LoadResult, name: string | undefined): Promise<Diagnosis> {
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const outcomes: Outcome[] = [];
  const audience = { account() {}, outcome: (outcome: Outcome) => void outcomes.push(outcome) };
  const accounts = loaded.config.accounts.filter((account) => account.name === name);
  await examine(loaded.config, loaded.notices, accounts, audience);
  return {
    outcomes,
    of: (check) => {
      const found = outcomes.find((outcome) => outcome.check === check);
      if (found === undefined) throw new Error(`no check ${check}`);
      return found;
    },
    named: (result) => outcomes.filter((outcome) => outcome.result === result).map(({ check }) => check),
  };
}
