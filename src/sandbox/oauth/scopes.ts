/**
 * Which resource a scope parameter asks for, and what a token for it may do.
 *
 * Pure. A token is for one resource. A bare name (`SMTP.Send`) means Microsoft Graph, as at Entra: the token is issued and Exchange then
 * refuses it, which is how the commonest mistake of configurations shows.
 *
 * @packageDocumentation
 */
import { EntraRefusal } from './entra-errors.ts';

/** What was asked for, sorted out. */
export interface ResourceScopes {
  /** `https://outlook.office.com` and the like: `aud` of the token. */
  readonly audience: string;
  /** Names without the resource: `SMTP.Send`. Empty for `.default`. */
  readonly names: readonly string[];
}

const EXCHANGE = ['https://outlook.office.com', 'https://outlook.office365.com'];
const GRAPH = 'https://graph.microsoft.com';

const DELEGATED: ReadonlyMap<string, readonly string[]> = new Map([
  ...EXCHANGE.map((audience): [string, string[]] => [audience, ['SMTP.Send', 'IMAP.AccessAsUser.All', 'POP.AccessAsUser.All']]),
  // Graph knows the mail protocol names too; tokens for it are of no use to Exchange.
  [GRAPH, ['Mail.Send', 'Mail.Read', 'Mail.ReadWrite', 'User.Read', 'SMTP.Send', 'IMAP.AccessAsUser.All', 'POP.AccessAsUser.All']],
]);

const APPLICATION: ReadonlyMap<string, readonly string[]> = new Map([
  ...EXCHANGE.map((audience): [string, string[]] => [audience, ['SMTP.SendAsApp', 'IMAP.AccessAsApp', 'POP.AccessAsApp']]),
  [GRAPH, ['Mail.Send', 'Mail.Read']],
]);

/** Scopes of OpenID Connect, which belong to no resource. */
const RESOURCELESS = new Set(['offline_access', 'openid', 'profile', 'email']);

/** True for an audience that Exchange takes. */
export const isExchangeAudience = (audience: string): boolean => EXCHANGE.includes(audience);

export const splitScopes = (parameter: string): string[] => parameter.split(/[ \t]+/).filter((scope) => scope !== '');

/** Each scope is known; several resources are allowed, as at /authorize. @throws EntraRefusal */
export function checkScopes(scopes: readonly string[]): void {
  for (const scope of scopes) if (!RESOURCELESS.has(scope)) delegatedNames(parseScope(scope));
}

/**
 * The one resource of a delegated token.
 *
 * @throws EntraRefusal
 */
export function delegatedScopes(scopes: readonly string[]): ResourceScopes {
  const parsed = scopes.filter((scope) => !RESOURCELESS.has(scope)).map(parseScope);
  const [first, ...others] = parsed;
  // Without a resource the token is for Graph, as a token for openid alone is.
  if (first === undefined) return { audience: GRAPH, names: ['User.Read'] };
  if (others.some(({ audience }) => audience !== first.audience)) throw new EntraRefusal(28002, 'it names more than one resource');
  const isDefault = parsed.some(({ name }) => name === '.default');
  if (isDefault && others.length > 0) throw new EntraRefusal(70011, '.default cannot be combined with named scopes');
  return { audience: first.audience, names: parsed.flatMap(delegatedNames) };
}

/**
 * The one resource of an application's own token, with the roles it gets.
 *
 * @throws EntraRefusal
 */
export function applicationScopes(scopes: readonly string[]): ResourceScopes {
  const [only, ...others] = scopes;
  if (only === undefined || others.length > 0) throw new EntraRefusal(70011, 'client_credentials takes one scope ending in /.default');
  const { audience, name } = parseScope(only);
  const roles = APPLICATION.get(audience);
  if (name !== '.default' || roles === undefined) throw new EntraRefusal(70011, 'client_credentials takes one scope ending in /.default');
  return { audience, names: roles };
}

/** How the token response names them. */
export const presentScopes = ({ audience, names }: ResourceScopes): string => names.map((name) => `${audience}/${name}`).join(' ');

interface Scope {
  readonly audience: string;
  readonly name: string;
}

function parseScope(scope: string): Scope {
  if (!/^[A-Za-z0-9:/._-]+$/.test(scope)) throw new EntraRefusal(70011, 'it holds characters that no scope has');
  if (!scope.includes('://')) return { audience: GRAPH, name: scope };
  const slash = scope.lastIndexOf('/');
  // `https://outlook.office365.com//.default` is seen too: the resource with its own slash.
  const audience = scope.slice(0, slash).replace(/\/$/, '').toLowerCase();
  if (!DELEGATED.has(audience)) throw new EntraRefusal(500011, 'the scope names a resource that is not there');
  return { audience, name: scope.slice(slash + 1) };
}

function delegatedNames({ audience, name }: Scope): readonly string[] {
  const known = DELEGATED.get(audience) ?? [];
  if (name === '.default') return known;
  const found = known.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  if (found === undefined) throw new EntraRefusal(70011, 'the resource has no scope of that name');
  return [found];
}
