import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { LinkedAbort } from '../../../src/platform/linked-abort.ts';

it('is called off by any of those who may, with the reason of the first', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const linked = new LinkedAbort([one.signal, undefined, other.signal]);
  expect(linked.signal.aborted).toBe(false);
  other.abort('enough');
  one.abort('late');
  linked.abort('later');
  expect(linked.signal.reason).toBe('enough');
});

it('is called off from the start where one of them was', () => {
  expect(new LinkedAbort([AbortSignal.abort('before')]).signal.reason).toBe('before');
});

it('leaves nothing behind with a signal that lives on', () => {
  const stopping = new AbortController();
  const linked = new LinkedAbort([stopping.signal]);
  expect(getEventListeners(stopping.signal, 'abort')).toHaveLength(1);
  linked.release();
  expect(getEventListeners(stopping.signal, 'abort')).toHaveLength(0);
  stopping.abort();
  expect(linked.signal.aborted).toBe(false);
});
