/**
 * Asks the API that this page comes from.
 *
 * @packageDocumentation
 */

/** A problem document (RFC 9457). */
export interface ProblemDocument {
  readonly title: string;
  readonly detail: string;
  readonly code: string;
  readonly remedy: string;
  readonly status: number;
}

/** The API has refused, or could not be reached. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly problem: ProblemDocument;
  constructor(problem: ProblemDocument) {
    super(problem.detail);
    this.problem = problem;
  }
}

interface Session {
  readonly isSignedIn: boolean;
  readonly asksForPassword: boolean;
  readonly csrfToken?: string;
}

export class Server {
  readonly #tokenHeader: string;
  #token: string | undefined;

  /** @param tokenHeader - By which requests are told from those of other pages. */
  constructor(tokenHeader = 'x-csrf-token') {
    this.#tokenHeader = tokenHeader;
  }

  /** From now on requests come with it. */
  useToken(token: string | undefined): void {
    this.#token = token;
  }

  /** Whether requests will be served; has to be asked first. */
  async session(): Promise<Session> {
    return this.#note(await this.get<Session>('/api/v1/session'));
  }

  /** @throws Refusal */
  async signIn(password: string): Promise<Session> {
    return this.#note(await this.post<Session>('/api/v1/session', { password }));
  }

  async signOut(): Promise<void> {
    await this.#ask('DELETE', '/api/v1/session');
    this.#token = undefined;
  }

  /** @throws Refusal */
  get<Document>(path: string): Promise<Document> {
    return this.#ask<Document>('GET', path);
  }

  /** @throws Refusal */
  post<Document>(path: string, body: unknown = {}): Promise<Document> {
    return this.#ask<Document>('POST', path, body);
  }

  /** @throws Refusal */
  delete<Document>(path: string): Promise<Document> {
    return this.#ask<Document>('DELETE', path);
  }

  /** A POST whose answer comes line by line, each a JSON document. @throws Refusal */
  async *lines<Document>(path: string): AsyncGenerator<Document, void, undefined> {
    const response = await this.#send('POST', path, {});
    if (!response.ok) throw new Refusal((await response.json()) as ProblemDocument);
    let text = '';
    try {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const lines = (text + chunk).split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) yield JSON.parse(line) as Document;
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new Refusal(UNREACHABLE); // Broken off in the middle.
    }
  }

  #note(session: Session): Session {
    this.useToken(session.csrfToken);
    return session;
  }

  async #ask<Document>(method: string, path: string, body?: unknown): Promise<Document> {
    const response = await this.#send(method, path, body);
    const document: unknown = await response.json().catch(() => {
      throw new Refusal(UNREACHABLE); // Broken off in the middle.
    });
    if (!response.ok) throw new Refusal(document as ProblemDocument);
    return document as Document;
  }

  async #send(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(this.#token === undefined ? {} : { [this.#tokenHeader]: this.#token }),
    };
    try {
      return await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    } catch {
      throw new Refusal(UNREACHABLE);
    }
  }
}

const UNREACHABLE: ProblemDocument = {
  title: 'Postern does not answer',
  detail: 'The server of this page cannot be reached.',
  code: 'UNREACHABLE',
  remedy: 'See whether Postern runs; this page goes on by itself when it does.',
  status: 0,
};
