import { execFile } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { atTurnEnd } from '../../../src/platform/turn-end.ts';

describe('the end of a turn', () => {
  it('comes behind all that the turn does, promises among it, in the order of the calls', async () => {
    const done: string[] = [];
    atTurnEnd(() => done.push('first'));
    atTurnEnd(() => done.push('second'));
    await Promise.resolve().then(() => done.push('promise'));
    process.nextTick(() => done.push('tick'));
    expect(done).toEqual(['promise']);
    await turn();
    expect(done).toEqual(['promise', 'tick', 'first', 'second']);
  });

  it('does what nobody waits for behind what somebody does', async () => {
    const done: string[] = [];
    atTurnEnd(() => done.push('record'), 'record');
    atTurnEnd(() => done.push('wire'));
    atTurnEnd(() => done.push('another'));
    await turn();
    expect(done).toEqual(['wire', 'another', 'record']);
  });

  it('leaves to the next turn what is put off at the end of this one, and does nothing twice', async () => {
    const done: string[] = [];
    atTurnEnd(() => {
      done.push('now');
      atTurnEnd(() => done.push('then'));
    });
    await turn();
    expect(done).toEqual(['now']);
    await turn();
    await turn();
    expect(done).toEqual(['now', 'then']);
  });

  it.each([
    ['the process exits first', `process.exitCode = 0; atTurnEnd(() => say('act')); process.exit();`, 'act'],
    ['an act throws, and the process ends of it', `atTurnEnd(() => { throw new Error(); }); atTurnEnd(() => say('act')); end();`, 'act'],
    [
      'an act throws, and the process goes on',
      `atTurnEnd(() => { throw new Error(); }); atTurnEnd(() => say('act')); goOn();`,
      'act, then',
    ],
    ['an act of the exit puts off another', `atTurnEnd(() => atTurnEnd(() => say('act'))); process.exit();`, 'act'],
  ])('comes, too, where %s', async (_, program, said) => {
    const module = new URL('../../../src/platform/turn-end.ts', import.meta.url).href;
    const source = `
      import { writeSync } from 'node:fs';
      import { atTurnEnd } from ${JSON.stringify(module)};
      const say = (text) => writeSync(1, text);
      const end = () => process.on('uncaughtException', () => process.exit());
      const goOn = () => process.on('uncaughtException', () => setTimeout(() => say(', then'), 10));
      ${program}`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source]);
    expect(stdout).toBe(said);
  });
});
