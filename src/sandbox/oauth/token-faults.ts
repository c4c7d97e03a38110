/**
 * What a fault switch makes of a token answer.
 *
 * Pure but for `process`, which answers the request as if there were no fault; faults that lose the request before it is processed do not
 * call it.
 *
 * @packageDocumentation
 */
import type { TokenFault } from '../faults.ts';
import { type HttpAnswer, json } from '../http/answer.ts';
import { html, page } from '../http/html.ts';

/** A fault that is about the answer; `aadsts` is a refusal like others. */
type AnswerFault = Exclude<TokenFault, { readonly kind: 'aadsts' }>;

export function mangle(fault: AnswerFault, process: () => HttpAnswer): HttpAnswer {
  switch (fault.kind) {
    case 'too-many-requests':
      return json(429, { error: 'temporarily_unavailable' }, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter });
    case 'status':
      return page(`Error ${fault.status}`, html`<p>Our services are not available right now.</p>`, { status: fault.status });
    case 'html':
      return page('Welcome to the guest network', html`<p>Accept the terms of use to go on.</p>`);
    case 'cut-json':
      return changeBody(process(), (body) => body.slice(0, Math.floor(body.length / 2)));
    case 'missing-access-token':
      return changeField(process(), 'access_token', undefined);
    case 'missing-refresh-token':
      return changeField(process(), 'refresh_token', undefined);
    case 'expires-in':
      return changeField(process(), 'expires_in', fault.value);
    case 'delay':
      return process();
    default:
      if (fault.isProcessed === true) process();
      return { kind: fault.kind };
  }
}

function changeBody(answer: HttpAnswer, change: (body: string) => string): HttpAnswer {
  return answer.kind === 'answer' ? { ...answer, body: change(answer.body.toString()) } : answer;
}

/** A field that becomes undefined is left out. */
function changeField(answer: HttpAnswer, name: string, value: unknown): HttpAnswer {
  return changeBody(answer, (body) => {
    const fields = JSON.parse(body) as Record<string, unknown>;
    return JSON.stringify('error' in fields ? fields : { ...fields, [name]: value });
  });
}
