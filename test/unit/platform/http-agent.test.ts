/** An agent that cannot be opened at once: the next request has another go, and closing does not fail for it. */
import { expect, it } from 'vitest';
import { type HttpAgent, LaterAgent } from '../../../src/platform/http-agent.ts';

const unused = (): never => {
  throw new Error('not asked for here');
};

it('is opened by the request after the one for which it could not be', async () => {
  let opened = 0;
  let destroyed = 0;
  const agent: HttpAgent = { request: unused, destroy: async () => void (destroyed += 1) };
  const later = new LaterAgent({}, async () => {
    opened += 1;
    if (opened === 1) throw new Error('EMFILE');
    return agent;
  });
  await expect(later.get()).rejects.toThrow('EMFILE');
  expect(await later.get()).toBe(agent);
  expect(await later.get()).toBe(agent);
  await later.close();
  expect({ opened, destroyed }).toEqual({ opened: 2, destroyed: 1 });
});

it('closes where it could not be opened', async () => {
  const later = new LaterAgent({}, () => Promise.reject(new Error('EMFILE')));
  const asked = later.get();
  await later.close();
  await expect(asked).rejects.toThrow('EMFILE');
});
