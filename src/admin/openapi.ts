/**
 * The description of the API (OpenAPI 3.1), made from the routes and their schemas, so that it cannot say anything else than they do.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import type { DocumentedRoute, Route } from './api.ts';

/** @param version - Of Postern. */
export function describeApi(routes: readonly DocumentedRoute[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:([a-z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describe(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Postern',
      version,
      description:
        'What operators can see and do. The same routes are on the admin port and on control.sock in the state directory. Secrets are never in an answer.',
    },
    security: [{ bearer: [] }, { basic: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The admin password.' },
        basic: { type: 'http', scheme: 'basic', description: 'Any user name and the admin password.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'postern_session',
          description: 'From POST /api/v1/session. Requests that change something also need the header X-CSRF-Token.',
        },
      },
      responses: {
        Problem: {
          description: 'Refused or failed (RFC 9457).',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      schemas: {
        Problem: schemaOf(
          z.object({
            type: z.string().describe('`urn:postern:problem:CODE`'),
            title: z.string().describe('What the code means.'),
            status: z.int(),
            detail: z.string().describe('What has happened.'),
            code: z.string().describe('A code of docs/errors.md.'),
            heals: z.string(),
            remedy: z.string(),
          }),
        ),
      },
    },
  };
}

/** The route that serves the description of `routes`, itself not among them. It is made when somebody asks for the first time: it takes as long as a good part of a start. */
export function descriptionRoute(routes: readonly DocumentedRoute[], version: string): Route {
  let document: unknown;
  return {
    method: 'GET',
    path: '/api/v1/openapi.json',
    run: () => {
      document ??= describeApi(routes, version);
      return Promise.resolve({ status: 200, json: document });
    },
  };
}

function describe({ method, path, summary, query, body, answer }: DocumentedRoute): unknown {
  const inPath = [...path.matchAll(/:([a-z]+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const described = schemaOf(schema as z.ZodType);
    return { name, in: 'query', required: false, schema: described };
  });
  return {
    operationId: operationId(method, path),
    summary,
    tags: [path.split('/')[3] ?? ''],
    parameters: [...inPath, ...inQuery],
    ...(body === undefined ? {} : { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body) } } } }),
    responses: {
      '200': {
        description: 'Done.',
        content:
          typeof answer === 'string'
            ? { [answer]: { schema: { type: 'string', format: 'binary' } } }
            : { 'application/json': { schema: schemaOf(answer) } },
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

/** `GET /api/v1/queue/:id/content` → `getQueueIdContent`. */
function operationId(method: string, path: string): string {
  const words = path
    .split('/')
    .slice(3)
    .map((part) => part.replace(/[^A-Za-z]/g, ''));
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

/** What may come in, before it becomes one of our types. OpenAPI 3.1 takes JSON Schema as it is. */
function schemaOf(schema: z.ZodType): unknown {
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return described;
}
