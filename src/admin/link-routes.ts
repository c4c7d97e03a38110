/**
 * Links by which owners of mailboxes sign in, over HTTP: what operators do.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import type { SignInLinks } from '../core/ports/sign-in-links.ts';
import { absent, answerWith, type DocumentedRoute } from './api.ts';
import { moment } from './shared-schemas.ts';

const PATH = '/api/v1/accounts/:name/sign-in-link';

const linkShape = {
  account: z.string(),
  state: z.enum(['unopened', 'opened', 'done', 'over']),
  madeAt: moment,
  expiresAt: moment,
  openedAt: moment.optional(),
  openedBy: z.string().describe('Address of whoever opened it.').optional(),
};

/** A link that was just made. */
export const newLinkSchema = z.object({
  ...linkShape,
  secret: z.string().describe('Told this once. The link is the address of the admin port with `/sign-in#` and this behind it.'),
});

/** Operations on links. */
export function linkRoutes(links: SignInLinks): readonly DocumentedRoute[] {
  const accountOf = (parameters: Readonly<Record<string, string>>): string => parameters['name'] ?? '';
  return [
    {
      method: 'POST',
      path: PATH,
      summary: 'Make a link by which the owner of the mailbox signs in: good for a day and for one opening; one that was made before ends.',
      answer: newLinkSchema,
      run: async ({ parameters }) => answerWith(await links.make(accountOf(parameters))),
    },
    {
      method: 'GET',
      path: PATH,
      summary: 'What became of the link that was made last for the account.',
      answer: z.object({ link: z.object(linkShape).optional() }),
      run: ({ parameters }) => Promise.resolve(answerWith({ link: links.state(accountOf(parameters)) })),
    },
    {
      method: 'DELETE',
      path: PATH,
      summary: 'End the link of the account, and a sign-in that was begun by it.',
      answer: z.object({ isWithdrawn: z.boolean() }),
      run: async ({ parameters }) => {
        if (await links.withdraw(accountOf(parameters))) return answerWith({ isWithdrawn: true });
        throw absent('there is no link for the account');
      },
    },
  ];
}
