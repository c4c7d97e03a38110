/** The last part: a message to somebody, and the provider's word on it. */
import type { TestMessage } from '../../core/ports/setup.ts';
import { h } from '../dom.ts';
import { badge, field, problemNote, section } from '../parts.ts';
import type { Server } from '../server.ts';
import { WORDS } from '../words.ts';
import { asking } from './asking.ts';
import type { ChosenAccount } from './chosen-account.ts';

const W = WORDS.setup.test;

export function testPart(server: Server, { name, mailbox }: ChosenAccount): HTMLElement {
  const to = h('input', { type: 'email', required: true, value: mailbox });
  const send = async () => {
    const { reply, problem } = await server.post<TestMessage>(`/api/v1/accounts/${encodeURIComponent(name)}/test-message`, {
      to: to.value.trim(),
    });
    return [problem === undefined ? badge('good', W.accepted) : problemNote(problem), reply !== undefined && h('pre', {}, reply)];
  };
  return section(W.title, asking([field(W.to, to)], { [W.send]: send }));
}
