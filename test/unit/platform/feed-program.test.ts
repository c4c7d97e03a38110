/** What the sinks' tests (test/contract/message-sink.test.ts, test/unit/fetch/handing-sinks.test.ts) do not see of a program that is fed. */
import { expect, it } from 'vitest';
import { projectRoot, RunningProcess } from '../../support/process.ts';

it('without a file descriptor for its pipes is not started, and ends nothing else', async () => {
  const script = `${projectRoot}test/support/feed-without-descriptors.ts`;
  const command = `ulimit -n 100; exec "${process.execPath}" --import tsx "${script}"`;
  const { code, stdout, stderr } = await new RunningProcess('/bin/sh', ['-c', command]).end();
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({ kind: 'not-started', reason: 'EMFILE' });
});
