/**
 * How the relay is, over HTTP: health, status, accounts, clients.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { LISTENER_TLS } from '../core/listener.ts';
import type { RelayView } from '../core/ports/relay-view.ts';
import { absent, answerWith, type DocumentedRoute, type Route } from './api.ts';
import { count, moment, problemSchema } from './shared-schemas.ts';

/** What `/readyz` answers, with 200 or 503. */
export const readySchema = z.object({ status: z.string(), reasons: z.array(z.string()) });

const readinessSchema = z.object({ isReady: z.boolean(), reasons: z.array(z.string()) });

const statusSchema = readinessSchema.extend({
  version: z.string(),
  startedAt: moment,
  uptimeSeconds: z.number(),
  source: z.string().describe('The configuration file, or `environment`.'),
  configuration: z.object({
    loadedAt: moment.describe('When the one in use was taken over.'),
    reloads: count.describe('How often that happened since the start.'),
    problem: problemSchema.optional().describe('Why the one that is there now is not in use, or not wholly.'),
    problemSince: moment.optional(),
  }),
  listeners: z.array(z.object({ name: z.string(), protocol: z.string(), tls: z.enum(LISTENER_TLS), isOpen: z.boolean(), sessions: count })),
  accounts: z.object({ total: count, open: count.describe('Accounts that submit now.') }),
  queue: z.object({ messages: count, held: count, octets: count, limitOctets: count, quarantined: count }),
});

const accountSchema = z.object({
  name: z.string(),
  provider: z.string(),
  mailbox: z.string(),
  smtpUser: z.string(),
  grant: z.string(),
  delivery: z.string(),
  state: z.string().describe('`open`, or why its mail waits: `backing-off`, `held`, `quota`.'),
  problem: problemSchema.optional(),
  token: z
    .object({
      state: z.string(),
      obtainedAt: moment.optional(),
      expiresAt: moment.optional(),
      retryAt: moment.optional(),
      problem: problemSchema.optional(),
    })
    .optional(),
  queue: z.object({ messages: count, held: count, oldestAcceptedAt: moment.optional() }),
  connections: z.object({ open: count, limit: count }),
  pace: z.object({ messagesLeft: count, recipientsLeft: count }),
  secrets: z.array(z.object({ secret: z.string(), endsAt: moment })),
});

const clientSchema = z.object({
  name: z.string(),
  account: z.string(),
  username: z.string().optional(),
  hasPassword: z.boolean(),
  networks: z.array(z.string()),
  senders: z.array(z.string()),
  onOtherSender: z.enum(['refuse', 'rewrite']),
  messagesPerMinute: count.optional(),
});

/** Operations that say how the relay is. */
export function relayRoutes(view: RelayView): readonly DocumentedRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/status',
      summary: 'The relay as a whole.',
      answer: statusSchema,
      run: async () => answerWith(await view.status()),
    },
    {
      method: 'GET',
      path: '/api/v1/accounts',
      summary: 'All accounts.',
      answer: z.object({ items: z.array(accountSchema) }),
      run: async () => answerWith({ items: await view.accounts() }),
    },
    {
      method: 'GET',
      path: '/api/v1/accounts/:name',
      summary: 'One account.',
      answer: accountSchema,
      run: async ({ parameters }) => {
        const found = (await view.accounts()).find(({ name }) => name === parameters['name']);
        if (found === undefined) throw noAccount();
        return answerWith(found);
      },
    },
    {
      method: 'POST',
      path: '/api/v1/accounts/:name/refresh',
      summary: 'Ask for a new access token now.',
      answer: z.object({ expiresAt: moment }),
      run: async ({ parameters }) => {
        const expiresAt = await view.refreshToken(parameters['name'] ?? '');
        if (expiresAt === undefined) throw noAccount();
        return answerWith({ expiresAt });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/clients',
      summary: 'All clients. Secrets are never shown.',
      answer: z.object({ items: z.array(clientSchema) }),
      run: () => Promise.resolve(answerWith({ items: view.clients() })),
    },
  ];
}

const noAccount = () => absent('there is no account of this name that has tokens');

/** For probes: is the process alive (its event loop turns), and can applications submit. */
export function healthRoutes(view: RelayView): readonly Route[] {
  return [
    { method: 'GET', path: '/healthz', access: 'anybody', run: () => Promise.resolve(answerWith({ status: 'ok' })) },
    {
      method: 'GET',
      path: '/readyz',
      access: 'anybody',
      run: () => {
        const { isReady, reasons } = view.readiness();
        return Promise.resolve({ status: isReady ? 200 : 503, json: { status: isReady ? 'ready' : 'not ready', reasons } });
      },
    },
  ];
}

/** What Prometheus reads. */
export function metricsRoute(metrics: { readonly contentType: string; render(): Promise<string> }): Route {
  return {
    method: 'GET',
    path: '/metrics',
    run: async () => ({ status: 200, type: metrics.contentType, text: await metrics.render() }),
  };
}
