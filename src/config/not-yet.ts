/**
 * What the configuration may already say and this version does not do. Each later version deletes rows here.
 *
 * A row is a problem where going on would do something else than what was asked for, and a notice where a part is merely not served.
 *
 * @packageDocumentation
 */
import type { Findings, Path } from './findings.ts';
import type { Sections } from './sections.ts';

const NOT_SERVED: readonly { readonly path: Path; readonly what: string }[] = [
  { path: ['admin'], what: 'the admin port is not served in this version' },
  { path: ['fetch'], what: 'mail is not fetched in this version' },
];

export function checkNotYet(sections: Sections, findings: Findings): void {
  for (const { path, what } of NOT_SERVED) if (sections.has(...path)) findings.notice(path, what);
}
