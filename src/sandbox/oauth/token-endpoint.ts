/**
 * `POST /{tenant}/oauth2/v2.0/token` and `…/devicecode`: reads the form, applies the fault switches, answers as Entra does.
 *
 * Source: RFC 6749 §5.1 and §5.2, RFC 8628 §3.2; Entra's further fields (`error_codes`, `trace_id`, …) beside them.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Random } from '../../core/ports/random.ts';
import { type TokenFault, takeTokenFault } from '../faults.ts';
import { formBody, type HttpAnswer, type HttpRequest, json } from '../http/answer.ts';
import { uuid } from '../sandbox-state.ts';
import { countTokenRequest, type TokenStatistics } from '../statistics.ts';
import type { TrustedCredentials } from '../trusted-credentials.ts';
import { authenticateClient, type ClientJudge } from './client-authentication.ts';
import { EntraRefusal } from './entra-errors.ts';
import { answerGrant, type OAuthState, required } from './grants.ts';
import { checkScopes, splitScopes } from './scopes.ts';
import { mangle } from './token-faults.ts';

/** What the endpoint needs. */
export interface TokenEndpointDependencies {
  readonly state: OAuthState;
  readonly trusted: TrustedCredentials;
  readonly statistics: TokenStatistics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** `http://127.0.0.1:8026`. */
  readonly baseUrl: () => string;
}

export class TokenEndpoint {
  readonly #deps: TokenEndpointDependencies;

  constructor(deps: TokenEndpointDependencies) {
    this.#deps = deps;
  }

  async token(request: HttpRequest): Promise<HttpAnswer> {
    countTokenRequest(this.#deps.statistics, formBody(request).get('grant_type') ?? '');
    const fault = takeTokenFault(this.#deps.state.faults);
    const answer = fault === undefined ? this.#process(request) : await this.#withFault(fault, request);
    this.#count(answer);
    return answer;
  }

  deviceCode(request: HttpRequest): HttpAnswer {
    return this.#refusable(request, () => {
      const { state, baseUrl } = this.#deps;
      this.#checkTenant(request);
      const form = formBody(request);
      const client = state.directory.findClient(required(form, 'client_id'));
      if (client === undefined) throw new EntraRefusal(700016);
      const scopes = splitScopes(required(form, 'scope'));
      checkScopes(scopes);
      const device = state.devices.issue(client.clientId, scopes);
      const verificationUri = `${baseUrl()}/devicelogin`;
      return json(200, {
        user_code: device.userCode,
        device_code: device.deviceCode,
        verification_uri: verificationUri,
        expires_in: device.expiresInSeconds,
        interval: device.intervalSeconds,
        message: `To sign in, open ${verificationUri} and enter the code ${device.userCode}.`,
      });
    });
  }

  #process(request: HttpRequest): HttpAnswer {
    return this.#refusable(request, () => {
      this.#checkTenant(request);
      const form = formBody(request);
      required(form, 'grant_type');
      const client = authenticateClient(form, request.headers, this.#judge());
      return json(200, answerGrant(this.#deps.state, client, form));
    });
  }

  #judge(): ClientJudge {
    const { state, trusted, clock, baseUrl } = this.#deps;
    const { directory } = state;
    const tokenUrls = directory.tenantNames.map((name) => `${baseUrl()}/${name}/oauth2/v2.0/token`);
    return { directory, trusted, now: clock.now(), tokenUrls };
  }

  async #withFault(fault: TokenFault, request: HttpRequest): Promise<HttpAnswer> {
    if (fault.kind === 'aadsts') {
      const { number, ...as } = fault;
      return this.#refusal(new EntraRefusal(number, 'a fault switch says so', as), request);
    }
    if (fault.kind === 'delay') {
      await new Promise<void>((resolve) => {
        this.#deps.clock.startTimer(fault.milliseconds as DurationMs, resolve, { isBackground: true });
      });
    }
    return mangle(fault, () => this.#process(request));
  }

  /** GUID or domain; the shared names only for applications of many tenants, and the sandbox's are of one. */
  #checkTenant({ parameters }: HttpRequest): void {
    const match = this.#deps.state.directory.matchTenant(parameters.get('tenant') ?? '');
    if (match === 'unknown') throw new EntraRefusal(90002);
    if (match === 'shared') throw new EntraRefusal(50194);
  }

  #refusable(request: HttpRequest, act: () => HttpAnswer): HttpAnswer {
    try {
      return act();
    } catch (error) {
      if (error instanceof EntraRefusal) return this.#refusal(error, request);
      throw error;
    }
  }

  #refusal(refusal: EntraRefusal, { headers }: HttpRequest): HttpAnswer {
    const { clock, random, log, baseUrl } = this.#deps;
    const timestamp = new Date(clock.now()).toISOString().replace('T', ' ').replace(/\.\d+/, '');
    const traceId = uuid(random);
    const asked = headers['client-request-id'];
    const correlationId = typeof asked === 'string' && /^[0-9a-f-]{36}$/i.test(asked) ? asked : uuid(random);
    log.debug({ event: 'sandbox-token-refused', reply: refusal.message }, 'the sandbox refused a token request');
    const description = `${refusal.message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`;
    const body = {
      error: refusal.error,
      error_description: description,
      error_codes: [refusal.number],
      timestamp,
      trace_id: traceId,
      correlation_id: correlationId,
      error_uri: `${baseUrl()}/error?code=${refusal.number}`,
      ...(refusal.suberror === undefined ? {} : { suberror: refusal.suberror }),
    };
    return json(refusal.status, body, { 'x-ms-request-id': traceId, 'client-request-id': correlationId });
  }

  #count(answer: HttpAnswer): void {
    if (answer.kind !== 'answer') return;
    if (answer.status === 200) this.#deps.statistics.issued += 1;
    else this.#deps.statistics.refused += 1;
  }
}
