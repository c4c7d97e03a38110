/**
 * Setting up over HTTP: accounts, clients, sign-ins, the doctor and a test message.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { isPlainAddress } from '../core/address.ts';
import { type ExaminationStep, type Setup, SIGN_IN_WAYS } from '../core/ports/setup.ts';
import { absent, answerWith, type DocumentedRoute, parse } from './api.ts';
import { problemSchema } from './shared-schemas.ts';

const name = z.string().min(1).max(64);
const isTrial = z.boolean().prefault(false).describe('Show what would be written, and write nothing.');

const accountSchema = z.strictObject({
  name,
  provider: name,
  mailbox: z.string().max(320),
  grant: z.enum(['refresh_token', 'client_credentials']),
  tenant: z.string().max(256).optional(),
  clientId: z.string().max(256),
  clientSecret: z.string().min(1).max(4096).describe('Goes into a file of its own in the state directory.').optional(),
  isTrial,
});

const changesSchema = z
  .strictObject({
    provider: name.optional(),
    mailbox: z.string().min(1).max(320).optional(),
    grant: z.enum(['refresh_token', 'client_credentials']).optional(),
    tenant: z.string().min(1).max(256).optional(),
    clientId: z.string().min(1).max(256).optional(),
    clientSecret: accountSchema.shape.clientSecret,
    isTrial,
  })
  .refine((changes) => Object.entries(changes).some(([key, value]) => key !== 'isTrial' && value !== undefined), {
    error: 'must change something',
  });

const clientSchema = z
  .strictObject({
    name,
    account: name,
    username: z.string().min(1).max(256).describe('A password is made for it, and answered this once.').optional(),
    networks: z.array(z.string().max(64)).max(64).optional(),
    isTrial,
  })
  .refine(({ username, networks = [] }) => username !== undefined || networks.length > 0, { error: 'must have a username or networks' });

const editShape = {
  file: z.string(),
  isWritten: z.boolean(),
  diff: z.array(z.object({ kind: z.enum(['same', 'added', 'removed']), text: z.string() })),
};
const editSchema = z.object(editShape);
const newClientSchema = z.object({ ...editShape, password: z.string().describe('Told this once.').optional() });

const configuredSchema = z.object({
  name: z.string(),
  provider: z.string(),
  mailbox: z.string(),
  grant: z.string(),
  tenant: z.string().optional(),
  clientId: z.string().optional(),
  hasClientSecret: z.boolean(),
});

const signInSchema = z.object({
  id: z.string(),
  account: z.string(),
  way: z.enum(SIGN_IN_WAYS),
  state: z.enum(['begun', 'waiting', 'done', 'failed']),
  url: z.string().optional(),
  userCode: z.string().optional(),
  complaint: z.string().optional(),
  user: z.string().optional(),
  problem: problemSchema.optional(),
});

const wayBody = z.strictObject({ way: z.enum(SIGN_IN_WAYS) });
const pasteBody = z.strictObject({ address: z.string().max(16_384) });
const testBody = z.strictObject({ to: z.string().refine(isPlainAddress, { error: 'is not a mail address' }) });

/** On the admin port only. */
export function setupRoutes(setup: Setup): readonly DocumentedRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/setup/providers',
      summary: 'Names of providers that an account may have.',
      answer: z.object({ items: z.array(z.string()) }),
      run: async () => answerWith({ items: await setup.providers() }),
    },
    {
      method: 'GET',
      path: '/api/v1/setup/config',
      summary: 'The configuration file, secrets hidden, with what is wrong in it.',
      answer: z.object({
        source: z.string(),
        text: z.string().optional(),
        remarks: z.array(z.object({ kind: z.enum(['problem', 'notice']), text: z.string(), line: z.number().int().optional() })),
      }),
      run: async () => answerWith(await setup.config()),
    },
    {
      method: 'POST',
      path: '/api/v1/clients/:name/password',
      summary: 'Give a client a new password, which is answered this once; the one before is refused from then on.',
      answer: newClientSchema,
      run: async ({ parameters }) => answerWith(await setup.resetPassword(parameters['name'] ?? '')),
    },
    {
      method: 'POST',
      path: '/api/v1/setup/accounts',
      summary: 'Add an account to the configuration file, comments kept; it is in use at once.',
      body: accountSchema,
      answer: editSchema,
      run: async ({ body }) => {
        const { isTrial: trial, ...draft } = parse(accountSchema, body);
        return answerWith(await setup.addAccount(draft, trial));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/setup/accounts/:name',
      summary: 'An account as it is in the configuration file, references in it resolved, without secrets.',
      answer: configuredSchema,
      run: async ({ parameters }) => answerWith(await setup.account(parameters['name'] ?? '')),
    },
    {
      method: 'POST',
      path: '/api/v1/setup/accounts/:name',
      summary: 'Change an account in the configuration file, comments kept; it is in use at once. What is not given stays.',
      body: changesSchema,
      answer: editSchema,
      run: async ({ parameters, body }) => {
        const { isTrial: trial, ...changes } = parse(changesSchema, body);
        return answerWith(await setup.editAccount(parameters['name'] ?? '', changes, trial));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/setup/clients',
      summary: 'Add a client to the configuration file, comments kept; it is in use at once.',
      body: clientSchema,
      answer: newClientSchema,
      run: async ({ body }) => {
        const { isTrial: trial, ...draft } = parse(clientSchema, body);
        return answerWith(await setup.addClient(draft, trial));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/accounts/:name/sign-in',
      summary: 'Begin to sign in as the mailbox: the answer says what to open.',
      body: wayBody,
      answer: signInSchema,
      run: async ({ parameters, body }) => answerWith(await setup.startSignIn(parameters['name'] ?? '', parse(wayBody, body).way)),
    },
    {
      method: 'GET',
      path: '/api/v1/sign-ins/:id',
      summary: 'How a sign-in goes.',
      answer: signInSchema,
      run: ({ parameters }) => Promise.resolve(answerWith(setup.signIn(parameters['id'] ?? '') ?? noSignIn())),
    },
    {
      method: 'POST',
      path: '/api/v1/sign-ins/:id',
      summary: 'Bring the address where a browser elsewhere has ended.',
      body: pasteBody,
      answer: signInSchema,
      run: ({ parameters, body }) =>
        Promise.resolve(answerWith(setup.paste(parameters['id'] ?? '', parse(pasteBody, body).address) ?? noSignIn())),
    },
    {
      method: 'POST',
      path: '/api/v1/accounts/:name/examination',
      summary: 'Examine an account as postern doctor does: a line of JSON for each step, as it is made.',
      answer: NDJSON,
      run: async ({ parameters }) => ({ status: 200, type: NDJSON, chunks: linesOf(await setup.examine(parameters['name'] ?? '')) }),
    },
    {
      method: 'POST',
      path: '/api/v1/accounts/:name/test-message',
      summary: 'Submit a test message, and answer with the reply of the provider.',
      body: testBody,
      answer: z.object({
        from: z.string(),
        to: z.string(),
        messageId: z.string(),
        reply: z.string().optional(),
        problem: problemSchema.optional(),
      }),
      run: async ({ parameters, body }) => answerWith(await setup.sendTest(parameters['name'] ?? '', parse(testBody, body).to)),
    },
  ];
}

const NDJSON = 'application/x-ndjson';

async function* linesOf(steps: AsyncIterable<ExaminationStep>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const step of steps) yield Buffer.from(`${JSON.stringify(step)}\n`);
}

function noSignIn(): never {
  throw absent('there is no such sign-in, or it was long ago');
}
