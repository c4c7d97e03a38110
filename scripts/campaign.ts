/**
 * Long runs of what must never go wrong: `npm run campaign -- NAME [--count N] [--seed N]`. Without a name, lists them. Exit code 1 where a promise was broken,
 * 3 where the campaign cannot run on this machine.
 */
import { parseArgs } from 'node:util';
import type { Campaign } from '../test/campaign/campaign.ts';
import { runDirectCuts } from '../test/campaign/direct-cuts.ts';
import { runFairness } from '../test/campaign/fairness.ts';
import { runFetchKill } from '../test/campaign/fetch-kill.ts';
import { runFuzz } from '../test/campaign/fuzz.ts';
import { runQueueCampaign } from '../test/campaign/queue-100k.ts';
import { ensurePackages } from '../test/support/real/packages.ts';
import { runFetchKillOnServers } from '../test/support/real/fetch-places.ts';
import { idleConnectionsObstacle, runIdleConnections } from '../test/campaign/idle-connections.ts';
import { runMailboxLogins } from '../test/campaign/mailbox-logins.ts';
import { runRotations } from '../test/campaign/rotations.ts';
import { runSigterm } from '../test/campaign/sigterm.ts';
import { runKillCampaign } from '../test/campaign/spool-kill.ts';
import { powerCutObstacle, runPowerCutCampaign } from '../test/campaign/spool-power-cut.ts';
import { runStalledUpstream } from '../test/campaign/stalled-upstream.ts';
import { runSteadyLoad } from '../test/campaign/steady-load.ts';
import { runTokenRotation } from '../test/campaign/token-rotation.ts';

const campaigns: Readonly<Record<string, Campaign>> = {
  'direct-cuts': {
    summary: 'direct delivery over connections cut at random octets, on either side; no false 250, nothing twice in an attempt',
    count: 10_000,
    run: runDirectCuts,
  },
  fairness: {
    summary: 'ten accounts, one with a provider that says nothing: how long the others take, with and without',
    count: 5,
    run: runFairness,
  },
  'fetch-kill': {
    summary:
      'kill -9, so often at each kind of sink, of a process that fetches a mailbox of Dovecot; what came is held against the mailbox',
    count: 300,
    obstacle: () => ensurePackages(),
    run: runFetchKillOnServers,
  },
  'fetch-kill-sandbox': { summary: 'the same on the sandbox', count: 300, run: runFetchKill },
  fuzz: {
    summary: 'mutated sessions at the SMTP, IMAP and POP3 fronts, address readers, configuration and admin port',
    count: 1_000_000,
    run: runFuzz,
  },
  'queue-100k': {
    summary: 'a relay with a long queue: ready in time, in bounded memory, drains each account at its pace',
    count: 100_000,
    run: runQueueCampaign,
  },
  'idle-connections': {
    summary: 'connections that say nothing, beyond the cap: those beyond are told, those inside are served, all are cut at their limit',
    count: 10_000,
    obstacle: () => idleConnectionsObstacle(),
    run: runIdleConnections,
  },
  'mailbox-logins': {
    summary: 'logins of every dialect at the IMAP and POP3 fronts; nothing of them may reach the upstream',
    count: 100_000,
    run: runMailboxLogins,
  },
  rotations: {
    summary:
      'secrets, tokens, accounts, the certificate replaced under load; no message fails, no session ends, all in use within 10 s; two controls',
    count: 100,
    run: runRotations,
  },
  sigterm: {
    summary: 'SIGTERM at random moments under load: ends with 0 in time, nothing lost, nothing twice',
    count: 200,
    run: runSigterm,
  },
  'spool-kill': { summary: 'kill -9 of a process with a spool, at every point of its work', count: 1000, run: runKillCampaign },
  'spool-power-cut': {
    summary: 'power cuts under a spool on ext4, with two controls (needs root and loop devices)',
    count: 300,
    obstacle: powerCutObstacle,
    run: runPowerCutCampaign,
  },
  'stalled-upstream': {
    summary: 'applications that submit 25 MB each while the provider has stopped reading; memory, and mail afterwards',
    count: 200,
    run: runStalledUpstream,
  },
  'steady-load': {
    summary: 'ten messages a second for so many seconds; memory and descriptors stay where they are',
    count: 3_600,
    run: runSteadyLoad,
  },
  'token-rotation': {
    summary: 'kill -9 (--kills) and power cuts (--power-cuts, 50) around the rotation of a refresh token',
    count: 200,
    run: (options) => runTokenRotation({ ...options, powerCuts: Number(values['power-cuts'] ?? 50) }),
  },
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string' }, kills: { type: 'string' }, 'power-cuts': { type: 'string' }, seed: { type: 'string' } },
});
const [name] = positionals;
const campaign = name === undefined ? undefined : campaigns[name];
if (campaign === undefined) {
  for (const [each, { summary, count }] of Object.entries(campaigns)) console.log(`${each.padEnd(20)} ${summary}; ${count} by default`);
  process.exitCode = name === undefined ? 0 : 2;
} else {
  process.exitCode = await runCampaign(campaign);
}

async function runCampaign({ run, count, obstacle }: Campaign): Promise<number> {
  const options = { count: Number(values.kills ?? values.count ?? count), seed: Number(values.seed ?? Date.now() % 1_000_000_000) };
  console.log(`${name}: count ${options.count}, seed ${options.seed}, ${new Date().toISOString()}`);
  const reason = await obstacle?.();
  if (reason !== undefined) {
    console.log(`not run: ${reason}`);
    return 3;
  }
  const began = performance.now();
  const { counts, broken } = await run({ ...options, print: (line) => console.log(line) });
  for (const [what, number] of Object.entries(counts)) console.log(`  ${what}: ${number}`);
  for (const what of broken) console.log(`  BROKEN: ${what}`);
  console.log(`${broken.length === 0 ? 'kept' : 'broken'} in ${Math.round((performance.now() - began) / 1000)} s`);
  return broken.length === 0 ? 0 : 1;
}
