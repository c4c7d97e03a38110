/**
 * What the sandbox counted since it started. Tests compare two readings.
 *
 * @packageDocumentation
 */

/** Requests to the token endpoint by `grant_type`; anything unknown counts as `other`. */
export interface TokenStatistics {
  readonly requests: {
    refresh_token: number;
    client_credentials: number;
    authorization_code: number;
    device_code: number;
    other: number;
  };
  issued: number;
  refused: number;
}

export interface SubmissionStatistics {
  connections: number;
  open: number;
  /** Most connections open at the same time. */
  mostOpen: number;
  authAccepted: number;
  authRefused: number;
  /** Messages answered with 250. */
  messages: number;
}

/** Sessions of IMAP and POP3 together. */
export type MailboxStatistics = Omit<SubmissionStatistics, 'messages'>;

/** All counters. */
export interface SandboxStatistics {
  readonly token: TokenStatistics;
  readonly submission: SubmissionStatistics;
  readonly mailbox: MailboxStatistics;
}

export function newStatistics(): SandboxStatistics {
  return {
    token: {
      requests: { refresh_token: 0, client_credentials: 0, authorization_code: 0, device_code: 0, other: 0 },
      issued: 0,
      refused: 0,
    },
    submission: { connections: 0, open: 0, mostOpen: 0, authAccepted: 0, authRefused: 0, messages: 0 },
    mailbox: { connections: 0, open: 0, mostOpen: 0, authAccepted: 0, authRefused: 0 },
  };
}

export function countTokenRequest(token: TokenStatistics, grantType: string): void {
  const name = grantType === 'urn:ietf:params:oauth:grant-type:device_code' ? 'device_code' : grantType;
  if (name === 'refresh_token' || name === 'client_credentials' || name === 'authorization_code' || name === 'device_code') {
    token.requests[name] += 1;
  } else {
    token.requests.other += 1;
  }
}

/** A connection opened; call the returned function when it has closed. */
export function countConnection(submission: Pick<SubmissionStatistics, 'connections' | 'open' | 'mostOpen'>): () => void {
  submission.connections += 1;
  submission.open += 1;
  submission.mostOpen = Math.max(submission.mostOpen, submission.open);
  return () => {
    submission.open -= 1;
  };
}
