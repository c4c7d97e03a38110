/**
 * An account whose settings may be replaced while its queue goes on.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';

/** Read at each use; the name never changes. */
export interface AccountRef {
  current: Account;
}
