/**
 * What the IMAP and the POP3 server share: the store, who may sign in, and the faults that strike.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Random } from '../../core/ports/random.ts';
import type { Directory } from '../directory.ts';
import type { FaultSwitches } from '../faults.ts';
import type { AccessTokens } from '../oauth/access-tokens.ts';
import type { ReceivedMessage, ReceivedMessages } from '../received-messages.ts';
import type { MailboxStatistics } from '../statistics.ts';
import { decodeXoauth2 } from '../submission/sign-in.ts';
import { judgeMailboxSignIn, type MailboxProtocol, type MailboxVerdict } from './mailbox-sign-in.ts';
import type { MailStore } from './mail-store.ts';

/** What the service is made of. */
export interface MailServiceDependencies {
  readonly directory: Directory;
  readonly accessTokens: AccessTokens;
  readonly faults: FaultSwitches;
  readonly store: MailStore;
  readonly statistics: MailboxStatistics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Who is signed in, and until when. */
export interface MailboxLogin {
  readonly mailbox: string;
  readonly expiresAt: EpochMs;
}

export class MailService {
  readonly deps: MailServiceDependencies;

  constructor(deps: MailServiceDependencies) {
    this.deps = deps;
  }

  /** @param response - The client's response of XOAUTH2, base64. */
  signIn(protocol: MailboxProtocol, response: string, peer: string): MailboxVerdict {
    const { accessTokens, directory, statistics, log } = this.deps;
    const decoded = decodeXoauth2(response);
    const verdict: MailboxVerdict =
      decoded === undefined
        ? { kind: 'failed', because: 'not an XOAUTH2 response' }
        : this.#isTooLong(protocol, decoded.accessToken)
          ? { kind: 'too-long', because: 'the access token is too long for POP3' }
          : judgeMailboxSignIn(protocol, decoded, accessTokens, directory);
    if (verdict.kind === 'accepted') statistics.authAccepted += 1;
    else {
      statistics.authRefused += 1;
      const fields = {
        event: 'sandbox-sign-in-refused',
        peer,
        mechanism: 'XOAUTH2',
        ...(decoded === undefined ? {} : { user: decoded.user }),
      } as const;
      log.info(fields, `the sandbox refused a sign-in to ${protocol.toUpperCase()}: ${verdict.because}`);
    }
    return verdict;
  }

  /** Basic authentication, which has ended for mailboxes. */
  refusePassword(protocol: MailboxProtocol, peer: string): void {
    this.deps.statistics.authRefused += 1;
    const fields = { event: 'sandbox-sign-in-refused', peer, mechanism: 'LOGIN' } as const;
    this.deps.log.info(fields, `the sandbox refused a sign-in to ${protocol.toUpperCase()}: basic authentication is disabled`);
  }

  /** Has the token of a session ended, and is the session to end with it? */
  isOver({ expiresAt }: MailboxLogin): boolean {
    return this.deps.faults.mailbox.endsExpiredSessions && this.deps.clock.now() >= expiresAt;
  }

  /** In Exchange's brackets behind the greeting: base64 of a host name. */
  hostMark(): string {
    return `[${Buffer.from(`SANDBOX${Buffer.from(this.deps.random.octets(4)).toString('hex')}.sandbox.test`).toString('base64')}]`;
  }

  /** Into the INBOX of every recipient that has a mailbox here. */
  deliver({ id, receivedAt, forwardPaths }: ReceivedMessage, messages: ReceivedMessages): void {
    const { directory, store } = this.deps;
    const octets = messages.content(id);
    if (octets === undefined) return; // Larger than all the room there is: listed without content.
    const recipients = new Set(forwardPaths.map(({ address }) => directory.findMailbox(address)?.address));
    for (const mailbox of recipients) {
      const inbox = mailbox === undefined ? undefined : store.find(mailbox, 'INBOX');
      if (inbox !== undefined) store.add(inbox, octets, receivedAt);
    }
  }

  #isTooLong(protocol: MailboxProtocol, { length }: string): boolean {
    const most = this.deps.faults.mailbox.longestPop3Token;
    return protocol === 'pop3' && most > 0 && length > most;
  }
}
