/**
 * Finds the operation that a method and a path name.
 *
 * Pure. Paths are compared part by part as they came: nothing is decoded, joined or made shorter, so that there is one spelling for each.
 *
 * @packageDocumentation
 */
import type { Route } from './api.ts';

/** A path that has other methods only is told apart from one that is not there. */
export type FoundRoute =
  | { readonly kind: 'found'; readonly route: Route; readonly parameters: Readonly<Record<string, string>> }
  | { readonly kind: 'no-path' }
  | { readonly kind: 'no-method'; readonly allowed: readonly string[] };

export function findRoute(routes: readonly Route[], method: string, path: string): FoundRoute {
  const parts = path.split('/');
  const allowed: string[] = [];
  for (const route of routes) {
    const parameters = match(route.path.split('/'), parts);
    if (parameters === undefined) continue;
    if (route.method === method) return { kind: 'found', route, parameters };
    allowed.push(route.method);
  }
  return allowed.length > 0 ? { kind: 'no-method', allowed } : { kind: 'no-path' };
}

function match(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const parameters = new Map<string, string>();
  for (const [index, expected] of pattern.entries()) {
    const part = parts[index] ?? '';
    if (expected.startsWith(':')) {
      if (!/^[A-Za-z0-9._~-]{1,128}$/.test(part)) return undefined;
      parameters.set(expected.slice(1), part);
    } else if (part !== expected) return undefined;
  }
  return Object.fromEntries(parameters);
}
