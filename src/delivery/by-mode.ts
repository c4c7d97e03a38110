/**
 * Each submission goes the way that its account is configured for.
 *
 * @packageDocumentation
 */
import type { Account, AccountName, DeliveryMode } from '../core/account.ts';
import type { Submission, SubmissionStart } from '../core/ports/submission.ts';

export class DeliveryByMode implements Submission {
  readonly #accounts: ReadonlyMap<AccountName, Account>;
  readonly #ways: Readonly<Record<DeliveryMode, Submission>>;

  constructor(accounts: ReadonlyMap<AccountName, Account>, ways: Readonly<Record<DeliveryMode, Submission>>) {
    this.#accounts = accounts;
    this.#ways = ways;
  }

  begin(start: SubmissionStart): ReturnType<Submission['begin']> {
    const mode = this.#accounts.get(start.origin.client.account)?.delivery ?? 'direct'; // An unknown account is every way's to refuse.
    return this.#ways[mode].begin(start);
  }
}
