/**
 * The submission service behind all sessions: who may sign in, submit and as whom; what is kept.
 *
 * Sessions (./exchange-connection.ts) speak SMTP; this decides. It knows no sockets.
 *
 * @packageDocumentation
 */
import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Random } from '../../core/ports/random.ts';
import type { Directory } from '../directory.ts';
import type { FaultSwitches } from '../faults.ts';
import { headerFromAddress } from '../header-summary.ts';
import type { AccessTokens } from '../oauth/access-tokens.ts';
import type { Arrival, ReceivedMessages } from '../received-messages.ts';
import type { SubmissionStatistics } from '../statistics.ts';
import type { TrustedCredentials } from '../trusted-credentials.ts';
import type { ReceivedContent } from './content.ts';
import { HOST_NAME, REPLIES } from './exchange-replies.ts';
import type { MailboxLimits } from './mailbox-limits.ts';
import { decodeXoauth2, judgeSignIn, type SignedIn } from './sign-in.ts';

/** What the service is made of. */
export interface ExchangeDependencies {
  readonly directory: Directory;
  readonly trusted: TrustedCredentials;
  readonly accessTokens: AccessTokens;
  readonly faults: FaultSwitches;
  readonly limits: MailboxLimits;
  readonly messages: ReceivedMessages;
  readonly statistics: SubmissionStatistics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What a session learns from its credentials. */
export type SignInAnswer = { readonly signedIn: SignedIn } | { readonly refusal: 'token' | 'encoding' };

export class Exchange {
  readonly deps: ExchangeDependencies;

  constructor(deps: ExchangeDependencies) {
    this.deps = deps;
  }

  /** @param line - The client's response, base64. */
  signIn(line: string, peer: string): SignInAnswer {
    const { accessTokens, directory, statistics, log } = this.deps;
    const response = decodeXoauth2(line);
    if (response === undefined) {
      statistics.authRefused += 1;
      log.info({ event: 'sandbox-sign-in-refused', peer, mechanism: 'XOAUTH2' }, 'the sandbox refused a sign-in: not an XOAUTH2 response');
      return { refusal: 'encoding' };
    }
    const verdict = judgeSignIn(response, accessTokens, directory);
    if (verdict.kind === 'accepted') {
      statistics.authAccepted += 1;
      return { signedIn: verdict.signedIn };
    }
    statistics.authRefused += 1;
    const fields = { event: 'sandbox-sign-in-refused', peer, mechanism: 'XOAUTH2', user: response.user };
    log.info(fields, `the sandbox refused a sign-in: ${verdict.because}`);
    return { refusal: 'token' };
  }

  /** Basic authentication: enabled for mailboxes that were given a password, and refused whatever the password for others. */
  signInWithPassword(user: string, password: string, peer: string): { readonly signedIn: SignedIn } | { readonly refusal: string } {
    const { statistics, log, trusted, directory } = this.deps;
    const mailbox = directory.findMailbox(user);
    const isRight = mailbox === undefined ? undefined : trusted.isPassword(user, password);
    if (mailbox !== undefined && isRight === true) {
      statistics.authAccepted += 1;
      return { signedIn: { user: mailbox.address, mechanism: 'LOGIN', isApplication: false, mayUseMailbox: true } };
    }
    statistics.authRefused += 1;
    const why = isRight === undefined ? 'basic authentication is disabled' : 'the password is wrong';
    log.info({ event: 'sandbox-sign-in-refused', peer, mechanism: 'LOGIN' }, `the sandbox refused a sign-in: ${why}`);
    return { refusal: isRight === undefined ? REPLIES.basicDisabled(this.stamp()) : REPLIES.wrongPassword(this.stamp()) };
  }

  /** A refusal of MAIL, or undefined. */
  judgeReversePath(session: object, signedIn: SignedIn, reversePath: string): string | undefined {
    const { limits, directory } = this.deps;
    if (limits.isSessionExcess(signedIn.user, session)) return REPLIES.tooManyConnections;
    if (limits.isMinuteFull(signedIn.user)) return REPLIES.tooManyMessages;
    // A sender of another organisation is refused at once, one of the tenant only once the store looks at it.
    const isForeign = reversePath !== '' && !directory.isOwnDomain(reversePath) && !directory.maySendAs(signedIn.user, reversePath);
    return isForeign ? REPLIES.foreignSender : undefined;
  }

  /** A refusal of the content after the dot, or undefined. */
  judgeContent(signedIn: SignedIn, arrival: Arrival, content: ReceivedContent): string | undefined {
    const { faults, limits } = this.deps;
    if (content.octets === undefined || content.size > faults.submission.maxSendSize) return REPLIES.tooLarge;
    if (content.hasBareLineEnds && faults.submission.refusesBareLineEnds) return REPLIES.bareLineEnds;
    if (!signedIn.mayUseMailbox) return REPLIES.noMailboxPermission;
    const denied = this.#deniedSender(signedIn.user, arrival.reversePath, content.octets);
    if (denied !== undefined) return REPLIES.sendAsDenied(signedIn.user, denied);
    if (limits.isDayFull(signedIn.user, arrival.forwardPaths.length)) return REPLIES.quotaExceeded;
    return faults.submission.isMailboxFull ? REPLIES.mailboxFull : undefined;
  }

  /** Keep the message. Returns the 250. */
  keep({ mechanism }: SignedIn, arrival: Arrival, octets: Buffer): string {
    const { messages, limits, statistics, clock, log } = this.deps;
    const id = `${Buffer.from(this.deps.random.octets(9)).toString('hex').toUpperCase()}@${HOST_NAME}`;
    const message = messages.add(id, clock.now(), arrival, octets);
    limits.countMessage(arrival.user, arrival.forwardPaths.length);
    statistics.messages += 1;
    log.info(
      {
        event: 'sandbox-message-received',
        user: arrival.user,
        mechanism,
        reversePath: arrival.reversePath,
        forwardPaths: arrival.forwardPaths.map(({ address }) => address),
        size: message.size,
        tls: arrival.tls,
        ...(message.messageId === '' ? {} : { messageId: message.messageId }),
      },
      `the sandbox received a message; the session was signed in with ${mechanism} as ${arrival.user}`,
    );
    return REPLIES.accepted(id);
  }

  /** `2026-11-23T10:00:00.000Z 08DE2A…`, as it stands in Exchange's brackets. */
  stamp(): string {
    const { clock, random } = this.deps;
    return `${new Date(clock.now()).toISOString()} ${Buffer.from(random.octets(8)).toString('hex').toUpperCase()}`;
  }

  #deniedSender(user: string, reversePath: string, octets: Buffer): string | undefined {
    const from = headerFromAddress(octets);
    const senders = [reversePath, ...(from === undefined ? [] : [from])].filter((sender) => sender !== '');
    return senders.find((sender) => !this.deps.directory.maySendAs(user, sender));
  }
}
