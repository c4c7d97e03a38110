/**
 * Secrets, refresh tokens, accounts, clients and the certificate of a relay change again and again while applications submit and read. No message may fail, no
 * session of an account that was not touched may end, and what is new must be in use within ten seconds, as seen from outside: at the token endpoint, in the TLS
 * handshake, by the login.
 *
 * Before some rotations the configuration or a secret is spoilt for a while (empty, half written, gone, a link that leads nowhere), which must change nothing.
 *
 * Two controls have to break these promises, or the campaign could not see it: a relay that reads copies which nobody replaces, and one that is restarted in place of
 * reading anew.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../src/core/ports/random.ts';
import { seededRandom } from '../support/open-spool.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { ReloadLab } from './reload-lab.ts';
import { ReloadLoad } from './reload-load.ts';

/** What is new is in use after so many ms. */
const IN_USE_WITHIN = 10_000;
/** The control that reads copies is not waited for as long. */
const CONTROL_WAITS = 3_000;
/** Rotations of each control. */
const CONTROL_ROTATIONS = 3;
/** The share of rotations before which something is spoilt for a while. */
const SPOILT = 0.4;

export interface RotationsOptions extends CampaignOptions {
  /** Default: true. */
  readonly hasControls?: boolean;
}

/** `count` rotations, then the controls. */
export async function runRotations(options: RotationsOptions): Promise<CampaignOutcome> {
  const { hasControls = true, print = () => undefined } = options;
  const { counts, broken } = await rotate(options, 'reload');
  if (!hasControls) return { counts, broken };
  const control = { ...options, count: CONTROL_ROTATIONS };
  const blind = await rotate(control, 'blind');
  const restarted = await rotate(control, 'restart');
  print(`control, copies that nobody replaces: ${JSON.stringify(blind.counts)}`);
  print(`control, restarted: ${JSON.stringify(restarted.counts)}`);
  const unseen = [
    ...((blind.counts['not in use in time'] ?? 0) === CONTROL_ROTATIONS ? [] : ['the control that reads copies has new secrets in use']),
    ...(Number(restarted.counts['IMAP sessions dropped']) > 0 ? [] : ['the control that is restarted drops no session']),
    ...(Number(restarted.counts['failed']) > 0 ? [] : ['the control that is restarted fails no message']),
  ];
  const controls = {
    'control, copies: not in use in time': blind.counts['not in use in time'] ?? 0,
    'control, restarted: IMAP sessions dropped': restarted.counts['IMAP sessions dropped'] ?? 0,
    'control, restarted: messages failed': restarted.counts['failed'] ?? 0,
  };
  return { counts: { ...counts, ...controls }, broken: [...broken, ...unseen] };
}

/** `reload`: as it is; `blind`: without reloads; `restart`: a restart in place of each. */
type Manner = 'reload' | 'blind' | 'restart';

async function rotate({ count, seed, print = () => undefined }: CampaignOptions, manner: Manner): Promise<CampaignOutcome> {
  const lab = await ReloadLab.open({ isBlind: manner === 'blind' });
  try {
    const random = seededRandom(seed);
    await lab.start();
    const load = new ReloadLoad(lab, seededRandom(seed + 1));
    await load.start();
    const run = new Rotations(lab, load, random, manner);
    await run.all(count, print);
    await load.stop();
    await load.drain();
    await lab.stop();
    return run.outcome();
  } finally {
    await lab.close();
  }
}

type Kind = keyof typeof KINDS;

class Rotations {
  readonly #lab: ReloadLab;
  readonly #load: ReloadLoad;
  readonly #random: Random;
  readonly #manner: Manner;
  readonly #delays: number[] = [];
  readonly #late: string[] = [];
  #spoilt = 0;

  constructor(lab: ReloadLab, load: ReloadLoad, random: Random, manner: Manner) {
    this.#lab = lab;
    this.#load = load;
    this.#random = random;
    this.#manner = manner;
  }

  /** Every kind comes once before any comes again. */
  async all(count: number, print: (line: string) => void): Promise<void> {
    let round: Kind[] = [];
    for (let done = 0; done < count; done += 1) {
      if (round.length === 0) round = this.#shuffled();
      const kind = round.pop();
      if (kind === undefined) throw new Error('no rotation is left');
      if (this.#manner === 'reload' && this.#random.fraction() < SPOILT) await this.#spoil();
      const probe = await KINDS[kind](this.#lab, this.#load, this.#random);
      const replaced = performance.now();
      if (this.#manner === 'restart') await this.#restart();
      const delay = await inUse(probe, replaced, this.#manner === 'blind' ? CONTROL_WAITS : IN_USE_WITHIN);
      if (delay === undefined) this.#late.push(kind);
      else this.#delays.push(delay);
      if (this.#manner === 'reload') print(`${done + 1} ${kind}: ${delay === undefined ? 'not in use' : `${Math.round(delay)} ms`}`);
      await pause(this.#random.fraction() * 300);
    }
  }

  outcome(): CampaignOutcome {
    const { counts: load, ledger, told } = this.#load;
    const ledgerCounts = ledger.counts;
    const counts = {
      rotations: this.#delays.length + this.#late.length,
      'not in use in time': this.#late.length,
      'ms until in use, median': Math.round(median(this.#delays)),
      'ms until in use, most': Math.round(Math.max(...this.#delays, 0)),
      'spoilt for a while': this.#spoilt,
      'spoilt states that the relay refused': this.#lab.logged('config-rejected'),
      ...load,
      'false 250': ledgerCounts['false 250'],
      'received twice': ledgerCounts['received twice in one attempt'],
      'received altered or in part': ledgerCounts['received altered or in part'],
    };
    const never = [
      'not in use in time',
      'failed',
      'failed of rotated accounts',
      'kept connections dropped',
      'IMAP sessions dropped',
      'false 250',
      'received twice',
      'received altered or in part',
    ] as const;
    const broken = never.filter((what) => counts[what] > 0).map((what) => `${what}: ${counts[what]}`);
    const words = [...told, ...this.#late.map((kind) => `not in use in time: ${kind}`)];
    return { counts, broken: [...broken, ...(broken.length === 0 ? [] : words)] };
  }

  #shuffled(): Kind[] {
    const kinds = Object.keys(KINDS) as Kind[];
    for (let last = kinds.length - 1; last > 0; last -= 1) {
      const other = Math.floor(this.#random.fraction() * (last + 1));
      const [a, b] = [kinds[last], kinds[other]];
      if (a !== undefined && b !== undefined) [kinds[last], kinds[other]] = [b, a];
    }
    return kinds;
  }

  async #spoil(): Promise<void> {
    const lab = this.#lab;
    const way = SPOILS[Math.floor(this.#random.fraction() * SPOILS.length)];
    const repair = way?.(lab, this.#random);
    this.#spoilt += 1;
    await pause(200 + this.#random.fraction() * 2_000);
    repair?.();
  }

  async #restart(): Promise<void> {
    await this.#lab.stop();
    await this.#lab.start();
  }
}

/** Whether what is new is in use now. */
type Probe = () => boolean | Promise<boolean>;

/** Each replaces something, and returns how to see from outside that it is in use. */
const KINDS = {
  'secret renamed into place': (lab: ReloadLab): Probe => {
    const secret = lab.newSecret();
    lab.gate.accept('renamed', secret);
    lab.put('secrets/renamed', secret);
    return secretSeen(lab, 'renamed', secret);
  },
  'secret written in two parts': async (lab: ReloadLab): Promise<Probe> => {
    const secret = lab.newSecret();
    lab.gate.accept('renamed', secret);
    lab.overwrite('secrets/renamed', '');
    lab.overwrite('secrets/renamed', secret.slice(0, 12));
    await pause(20);
    lab.overwrite('secrets/renamed', secret);
    return secretSeen(lab, 'renamed', secret);
  },
  'links swapped twice within a second': async (lab: ReloadLab, _: ReloadLoad, random: Random): Promise<Probe> => {
    const [first, second] = [lab.newSecret(), lab.newSecret()];
    for (const secret of [first, second]) lab.gate.accept('mounted', secret);
    lab.mount(first);
    await pause(random.fraction() * 900);
    lab.mount(second);
    return secretSeen(lab, 'mounted', second);
  },
  'refresh token replaced': (lab: ReloadLab): Probe => {
    const seed = lab.newSeed('seeded');
    lab.put('seeds/seeded', seed);
    const from = lab.gate.requests.length;
    return () => lab.gate.requests.slice(from).some(({ refreshToken }) => refreshToken === seed);
  },
  'account and client added': (lab: ReloadLab, load: ReloadLoad): Probe => {
    const name = lab.inviteGuest();
    lab.configure();
    return afterReload(lab, async () => (await load.attempt(name)) === '250');
  },
  'account and client removed': (lab: ReloadLab, load: ReloadLoad): Probe => {
    const name = lab.guests.shift() ?? '';
    lab.configure();
    return afterReload(lab, async () => (await load.attempt(name)).startsWith('535'));
  },
  'certificate renewed': (lab: ReloadLab): Probe => {
    const renewed = lab.renewCertificate();
    return async () => (await lab.shownCertificate()) === renewed;
  },
};

/** And once it is, the one before does not count any more, as when somebody removes it at the provider. */
function secretSeen(lab: ReloadLab, name: string, secret: string): Probe {
  return () => {
    const isSeen = lab.gate.requests.some((request) => request.name === name && request.secret === secret);
    if (isSeen) lab.gate.acceptOnly(name, secret);
    return isSeen;
  };
}

/** A login in vain counts against the application, so it is tried when the relay says that something has changed, and at the end of the time. */
function afterReload(lab: ReloadLab, attempt: () => Promise<boolean>): Probe {
  const before = lab.logged('config-reloaded') + lab.logged('ready');
  const begun = performance.now();
  return async () => {
    const isTime = lab.logged('config-reloaded') + lab.logged('ready') > before || performance.now() - begun > CONTROL_WAITS - 500;
    return isTime && attempt();
  };
}

/** Each makes something unusable, and returns how to put it right. */
const SPOILS: readonly ((lab: ReloadLab, random: Random) => () => void)[] = [
  (lab) => {
    lab.put('postern.yaml', '');
    return () => lab.configure();
  },
  (lab, random) => {
    const text = lab.document();
    lab.put('postern.yaml', text.slice(0, Math.floor(random.fraction() * (text.length - 1))));
    return () => lab.configure();
  },
  (lab) => {
    lab.overwrite('postern.yaml', lab.document().replace('"accounts"', '"acounts"'));
    return () => lab.configure();
  },
  (lab) => {
    lab.remove('postern.yaml');
    return () => lab.configure();
  },
  (lab) => {
    lab.put('seeds/seeded', '');
    return () => lab.put('seeds/seeded', lab.newSeed('seeded'));
  },
  (lab) => {
    lab.pointMountAt('..nowhere');
    const secret = lab.newSecret();
    return () => {
      lab.gate.accept('mounted', secret);
      lab.mount(secret);
    };
  },
];

/** @returns The ms from `since` on; undefined where it was not in time. */
async function inUse(probe: Probe, since: number, limit: number): Promise<number | undefined> {
  for (;;) {
    const isSo = await probe();
    const delay = performance.now() - since;
    if (isSo) return delay <= limit ? delay : undefined;
    if (delay > limit) return undefined;
    await pause(20);
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
