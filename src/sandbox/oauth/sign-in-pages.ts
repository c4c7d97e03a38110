/**
 * The two pages a person sees: the sign-in of the code flow (`/authorize`) and the one of the device flow (`/devicelogin`).
 *
 * There are no passwords: the person picks a mailbox. A page without a valid application and redirect URI never redirects (RFC 6749 §4.1.2.1);
 * any other refusal goes to the redirect URI with `error` and `state`.
 *
 * @packageDocumentation
 */
import type { SandboxClient } from '../directory.ts';
import { formBody, type HttpAnswer, type HttpRequest, redirect } from '../http/answer.ts';
import { type Html, html, page } from '../http/html.ts';
import { EntraRefusal } from './entra-errors.ts';
import { type OAuthState, required } from './grants.ts';
import { isRegisteredRedirect } from './redirect-uri.ts';
import { checkScopes, splitScopes } from './scopes.ts';

/** An authorization request that may be answered at its redirect URI. */
interface AuthorizationRequest {
  readonly client: SandboxClient;
  readonly redirectUri: string;
  readonly state: string | null;
}

export class SignInPages {
  readonly #state: OAuthState;

  constructor(state: OAuthState) {
    this.#state = state;
  }

  /** `GET …/authorize`: the page. */
  authorize(request: HttpRequest): HttpAnswer {
    return this.#answer(request, (authorization, query) => {
      checkParameters(query);
      const scopes = splitScopes(query.get('scope') ?? '');
      // The form posts to the address it came from, so that the request travels with it.
      const body = html`<p>${authorization.client.clientId} asks to use, as you: ${scopes.join(', ')}</p>
<form method="post" action="${request.url.pathname}${request.url.search}">${this.#mailboxChoice(query.get('login_hint') ?? '')}
<button name="action" value="accept">Sign in and accept</button><button name="action" value="refuse">Refuse</button></form>`;
      return page('Sign in to the sandbox', body, { formTargets: ["'self'", new URL(authorization.redirectUri).origin] });
    });
  }

  /** `POST …/authorize`: the person has decided. */
  decideAuthorization(request: HttpRequest): HttpAnswer {
    return this.#answer(request, (authorization, query) => {
      checkParameters(query);
      const form = formBody(request);
      if (form.get('action') !== 'accept') throw new EntraRefusal(65004);
      const mailbox = this.#state.directory.findMailbox(form.get('mailbox') ?? '');
      if (mailbox === undefined) throw new EntraRefusal(50034);
      const challenge = query.get('code_challenge');
      const code = this.#state.codes.issue({
        clientId: authorization.client.clientId,
        redirectUri: authorization.redirectUri,
        mailbox: mailbox.address,
        scopes: splitScopes(query.get('scope') ?? ''),
        ...(challenge === null ? {} : { codeChallenge: challenge }),
      });
      return answerAt(authorization, { code });
    });
  }

  /** `GET /devicelogin`. */
  deviceLogin(request: HttpRequest): HttpAnswer {
    return this.#devicePage(request.url.searchParams.get('user_code') ?? '', html``);
  }

  /** `POST /devicelogin`. */
  decideDevice(request: HttpRequest): HttpAnswer {
    const form = formBody(request);
    const userCode = form.get('user_code') ?? '';
    const mailbox = this.#state.directory.findMailbox(form.get('mailbox') ?? '');
    if (this.#state.devices.find(userCode) === undefined) {
      return this.#devicePage(userCode, html`<p role="alert">That code is not known or has ended. Check it, or start again.</p>`, 400);
    }
    if (form.get('action') !== 'accept') {
      this.#state.devices.decide(userCode, { kind: 'declined' });
      return page('Refused', html`<p>The device was not signed in. You can close this page.</p>`);
    }
    if (mailbox === undefined) return this.#devicePage(userCode, html`<p role="alert">There is no such mailbox.</p>`, 400);
    this.#state.devices.decide(userCode, { kind: 'accepted', mailbox: mailbox.address });
    return page('Signed in', html`<p>The device is signed in as ${mailbox.address}. You can close this page.</p>`);
  }

  #devicePage(userCode: string, notice: Html, status = 200): HttpAnswer {
    const body = html`${notice}<form method="post" action="/devicelogin">
<label>Code shown by the device <input name="user_code" value="${userCode}" autocomplete="off" required></label>${this.#mailboxChoice('')}
<button name="action" value="accept">Sign in and accept</button><button name="action" value="refuse">Refuse</button></form>`;
    return page('Sign in a device', body, { status, formTargets: ["'self'"] });
  }

  #mailboxChoice(hint: string): Html {
    const mailboxes = this.#state.directory.mailboxes();
    const chosen = this.#state.directory.findMailbox(hint) ?? mailboxes[0];
    const choices = mailboxes.map((mailbox) => {
      const checked = mailbox === chosen ? html` checked` : html``;
      return html`<label><input type="radio" name="mailbox" value="${mailbox.address}"${checked}> Sign in as ${mailbox.address}</label>`;
    });
    return html`<fieldset><legend>Mailbox</legend>${choices}</fieldset>`;
  }

  #answer(request: HttpRequest, act: (authorization: AuthorizationRequest, query: URLSearchParams) => HttpAnswer): HttpAnswer {
    const query = request.url.searchParams;
    let authorization: AuthorizationRequest;
    try {
      authorization = this.#validate(request.parameters.get('tenant') ?? '', query);
    } catch (error) {
      if (!(error instanceof EntraRefusal)) throw error;
      return page('Sorry, we could not sign you in', html`<p role="alert">${error.message}</p>`, { status: 400 });
    }
    try {
      return act(authorization, query);
    } catch (error) {
      if (!(error instanceof EntraRefusal)) throw error;
      // RFC 6749 §4.1.2.1 knows access_denied only; Entra says so for a refused consent as well.
      return answerAt(authorization, { error: error.error, error_description: error.message });
    }
  }

  #validate(tenant: string, query: URLSearchParams): AuthorizationRequest {
    const match = this.#state.directory.matchTenant(tenant);
    if (match === 'unknown') throw new EntraRefusal(90002);
    if (match === 'shared') throw new EntraRefusal(50194);
    const client = this.#state.directory.findClient(required(query, 'client_id'));
    if (client === undefined) throw new EntraRefusal(700016);
    const redirectUri = required(query, 'redirect_uri');
    if (!isRegisteredRedirect(redirectUri, client.redirectUris)) throw new EntraRefusal(50011);
    return { client, redirectUri, state: query.get('state') };
  }
}

function checkParameters(query: URLSearchParams): void {
  if (query.get('response_type') !== 'code')
    throw new EntraRefusal(9002313, 'response_type must be code', { error: 'unsupported_response_type' });
  const mode = query.get('response_mode');
  if (mode !== null && mode !== 'query') throw new EntraRefusal(9002313, 'the sandbox knows response_mode query only');
  if (query.has('code_challenge') && query.get('code_challenge_method') !== 'S256') {
    throw new EntraRefusal(9002313, 'the sandbox knows code_challenge_method S256 only');
  }
  checkScopes(splitScopes(required(query, 'scope')));
}

function answerAt({ redirectUri, state }: AuthorizationRequest, fields: Readonly<Record<string, string>>): HttpAnswer {
  const target = new URL(redirectUri);
  for (const [name, value] of Object.entries(fields)) target.searchParams.set(name, value);
  if (state !== null) target.searchParams.set('state', state);
  return redirect(target.href);
}
