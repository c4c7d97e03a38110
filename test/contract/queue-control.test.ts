import { afterEach } from 'vitest';
import { ControlClient } from '../../src/admin/control-client.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { cleanUp, controlStage, openControlStage } from '../support/control-stage.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { openSpool } from '../support/open-spool.ts';
import { START } from '../support/spool-messages.ts';
import { queueControlContract } from './queue-control.ts';

afterEach(cleanUp);

queueControlContract('on a spool in memory', () => Promise.resolve(controlStage()));

queueControlContract('on a segment spool', async () => {
  const clock = new FakeClock(START);
  return controlStage({ clock, spool: await openSpool(new MemoryDisk(), { clock, segmentSize: 512 * 1024 }) });
});

queueControlContract('over the control socket', async () => {
  const stage = await openControlStage();
  return { ...stage, queue: new ControlClient({ path: stage.path, clock: systemClock }) };
});
