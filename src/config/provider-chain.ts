/**
 * Everything known of a provider, built in or configured: what it says itself, and what it inherits along `extends`.
 *
 * @packageDocumentation
 */
import { readCaFile } from './ca-file.ts';
import type { ConfigFiles } from './files.ts';
import type { Findings, Path } from './findings.ts';
import { PRESETS, type Protocol, type ProviderFields } from './presets.ts';
import { defined } from './defined.ts';
import type { ProviderInput } from './schema-accounts.ts';
import type { Entry } from './sections.ts';
import { nearest } from './suggest.ts';

/** All providers, built in or configured, by name. */
export class ProviderBook {
  readonly #own = new Map<string, { readonly fields: ProviderFields; readonly parent: string | undefined; readonly path: Path }>();
  readonly #findings: Findings;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** Add a configured provider; reads its CA file. */
  async add(name: string, { path, value }: Entry<ProviderInput>, files: ConfigFiles): Promise<void> {
    const { extends: parent, caFile, smtp, imap, pop3, limits, ...rest } = value;
    const ca = caFile === undefined ? undefined : await readCaFile(caFile, [...path, 'caFile'], files, this.#findings);
    const fields: ProviderFields = {
      ...defined(rest),
      ...defined({ ca }),
      ...(smtp === undefined ? {} : { smtp: defined(smtp) }),
      ...(imap === undefined ? {} : { imap: defined(imap) }),
      ...(pop3 === undefined ? {} : { pop3: defined(pop3) }),
      ...(limits === undefined ? {} : { limits: defined(limits) }),
    };
    this.#own.set(name, { fields, parent, path });
  }

  /** Names that accounts and `extends` may use. */
  names(): string[] {
    return [...new Set([...this.#own.keys(), ...PRESETS.keys()])];
  }

  /** Where the file describes the provider; undefined for one that is built in. */
  pathOf(name: string): Path | undefined {
    return this.#own.get(name)?.path;
  }

  /** Everything known of the provider, inherited or its own; undefined where its chain is broken (the findings say why). */
  fieldsOf(name: string): ProviderFields | undefined {
    return this.#merge(name, new Set());
  }

  #merge(name: string, below: Set<string>): ProviderFields | undefined {
    const own = this.#own.get(name);
    // A provider named like a built-in one, which extends that name, means the built-in one.
    if (own === undefined || (below.has(name) && own.parent === name)) return PRESETS.get(name);
    if (below.has(name)) {
      this.#findings.problem([...own.path, 'extends'], `goes round in a circle: ${[...below, name].join(' → ')}`);
      return undefined;
    }
    if (own.parent === undefined) return own.fields;
    if (!this.#own.has(own.parent) && !PRESETS.has(own.parent)) {
      const others = this.names().filter((known) => known !== name);
      this.#findings.problem([...own.path, 'extends'], `there is no provider "${own.parent}"`, nearest(own.parent, others));
      return undefined;
    }
    const parent = this.#merge(own.parent, new Set([...below, name]));
    return parent === undefined ? undefined : inherit(parent, own.fields);
  }
}

function inherit(parent: ProviderFields, own: ProviderFields): ProviderFields {
  return {
    ...parent,
    ...own,
    ...nested(parent, own, 'smtp'),
    ...nested(parent, own, 'imap'),
    ...nested(parent, own, 'pop3'),
    ...nested(parent, own, 'limits'),
  };
}

/** Maps are replaced key by key: `smtp: { port: 25 }` keeps the host. */
function nested(parent: ProviderFields, own: ProviderFields, key: Protocol | 'limits'): ProviderFields {
  return parent[key] === undefined && own[key] === undefined ? {} : { [key]: { ...parent[key], ...own[key] } };
}
