/** The account that the set-up is about. */
import type { AccountView } from '../../core/ports/relay-view.ts';

/** What of an account the parts need. */
export type ChosenAccount = Pick<AccountView, 'name' | 'mailbox' | 'grant'>;
