/**
 * The configuration taken apart into entries, each checked by itself: a mistake in one account does not hide those of the next.
 *
 * @packageDocumentation
 */
import type * as z from 'zod';
import { type Findings, isWithin, type Path } from './findings.ts';
import { check, ONCE, reportUnknownKeys } from './issues.ts';
import {
  alertSchema,
  type AlertInput,
  type ClientInput,
  clientSchema,
  configSchema,
  type DeliveryInput,
  deliverySchema,
  type LogInput,
  logSchema,
  type StateInput,
  stateSchema,
} from './schema.ts';
import { type FetchInput, fetchSchema } from './schema-fetch.ts';
import { type AccountInput, accountSchema, type ProviderInput, providerSchema } from './schema-accounts.ts';
import {
  type AdminInput,
  adminSchema,
  imapListenerSchema,
  type ImapListenerInput,
  type MailboxListenerInput,
  listenersSchema,
  pop3ListenerSchema,
  type SmtpListenerInput,
  smtpListenerSchema,
} from './schema-listeners.ts';

/** An entry that fits its schema, and where it stands. Of accounts and clients, keys with problems have been left out. */
export interface Entry<Value> {
  readonly path: Path;
  readonly value: Value;
}

/** All entries that fit. Those that do not are missing here and present in the findings. */
export interface Sections {
  readonly smtp: readonly Entry<SmtpListenerInput>[];
  readonly imap: readonly Entry<ImapListenerInput>[];
  readonly pop3: readonly Entry<MailboxListenerInput>[];
  readonly admin: Entry<AdminInput> | undefined;
  readonly state: StateInput;
  readonly providers: ReadonlyMap<string, Entry<ProviderInput>>;
  readonly accounts: readonly Entry<AccountInput>[];
  readonly clients: readonly Entry<ClientInput>[];
  readonly fetch: readonly Entry<FetchInput>[];
  readonly delivery: DeliveryInput;
  readonly alerts: readonly Entry<AlertInput>[];
  readonly log: LogInput;
  /** What entries refer to as written, also those with problems elsewhere: so that one mistake does not hide another. */
  readonly references: {
    readonly accountProviders: readonly Entry<string>[];
    readonly providerParents: readonly Entry<string>[];
    readonly clientAccounts: readonly Entry<string>[];
    readonly fetchAccounts: readonly Entry<string>[];
  };
  /** Names as written, also of entries with problems: referring to those is not another mistake. */
  readonly providerNames: readonly string[];
  readonly accountNames: readonly string[];
  /** How many clients are written down, with or without problems. */
  readonly clientCount: number;
  /** True where the file has this key, whatever it says. */
  readonly has: (...path: Path) => boolean;
}

/** @param broken - Places whose value could not be resolved; nothing more is said about them, and entries that hold one are left out. */
export function parseSections(raw: unknown, broken: readonly Path[], findings: Findings): Sections {
  return new SectionParser(raw, broken, findings).parse();
}

class SectionParser {
  readonly #raw: unknown;
  readonly #broken: readonly Path[];
  readonly #findings: Findings;

  constructor(raw: unknown, broken: readonly Path[], findings: Findings) {
    this.#raw = raw ?? {};
    this.#broken = broken;
    this.#findings = findings;
  }

  parse(): Sections {
    const top = this.#map([], Object.keys(configSchema.shape));
    if (top !== undefined && Object.hasOwn(top, 'listeners')) this.#map(['listeners'], Object.keys(listenersSchema.shape));
    const has = (...path: Path): boolean => exists(this.#raw, path);
    this.#findings.recogniseWith((path) => exists(this.#raw, path));
    return {
      smtp: has('listeners') ? this.#list(smtpListenerSchema, ['listeners', 'smtp']) : [this.#defaultListener()],
      imap: this.#list(imapListenerSchema, ['listeners', 'imap']),
      pop3: this.#list(pop3ListenerSchema, ['listeners', 'pop3']),
      admin: has('admin') ? this.#entry(adminSchema, ['admin']) : undefined,
      state: this.#section(stateSchema, 'state'),
      providers: this.#providers(),
      // Without its provider nothing can be said of an account.
      accounts: this.#list(accountSchema, ['accounts'], (key) => key !== 'provider'),
      clients: this.#list(clientSchema, ['clients'], () => true),
      fetch: this.#list(fetchSchema, ['fetch']),
      delivery: this.#section(deliverySchema, 'delivery'),
      alerts: this.#list(alertSchema, ['alerts']),
      log: this.#section(logSchema, 'log'),
      references: {
        accountProviders: this.#texts(['accounts'], 'provider'),
        providerParents: this.#texts(['providers'], 'extends'),
        clientAccounts: this.#texts(['clients'], 'account'),
        fetchAccounts: this.#texts(['fetch'], 'account'),
      },
      providerNames: Object.keys(asMap(at(this.#raw, ['providers'])) ?? {}),
      accountNames: [...new Set(namesIn(at(this.#raw, ['accounts'])))],
      clientCount: asList(at(this.#raw, ['clients']))?.length ?? 0,
      has,
    };
  }

  #defaultListener(): Entry<SmtpListenerInput> {
    return { path: ['listeners', 'smtp', 0], value: smtpListenerSchema.parse({}, ONCE) };
  }

  /** A map at `path`, after its keys have been checked. */
  #map(path: Path, known: readonly string[]): Readonly<Record<string, unknown>> | undefined {
    const value = at(this.#raw, path);
    const map = asMap(value);
    if (map === undefined) {
      if (!this.#isBroken(path)) this.#findings.problem(path, 'must be a map of keys');
      return undefined;
    }
    const unknown = Object.keys(map).filter((key) => !known.includes(key));
    reportUnknownKeys(unknown, path, known, this.#findings);
    return map;
  }

  /** @param mayLeaveOut - Keys without which the rest of an entry is still worth checking. */
  #list<Schema extends z.ZodType>(schema: Schema, path: Path, mayLeaveOut?: (key: string) => boolean): Entry<z.output<Schema>>[] {
    const value = at(this.#raw, path);
    const items = value === undefined ? [] : asList(value);
    if (items === undefined) {
      if (!this.#isBroken(path)) this.#findings.problem(path, 'must be a list (start each entry with "- ")');
      return [];
    }
    return items.flatMap((_, index) => {
      const place = [...path, index];
      return this.#entry(schema, place) ?? (mayLeaveOut === undefined ? undefined : this.#remains(schema, place, mayLeaveOut)) ?? [];
    });
  }

  /** What remains of an entry without the keys that have problems, which have been told. */
  #remains<Schema extends z.ZodType>(
    schema: Schema,
    path: Path,
    mayLeaveOut: (key: string) => boolean,
  ): Entry<z.output<Schema>> | undefined {
    const written = asMap(at(this.#raw, path));
    if (written === undefined) return undefined;
    const value = structuredClone(written);
    const broken = this.#broken.filter((place) => isWithin(place, path)).map((place) => place.slice(path.length));
    for (const place of broken) if (!leaveOut(value, place, mayLeaveOut)) return undefined;
    // Each round leaves something out, so there is an end; a value that is missing takes the map which lacks it along.
    for (;;) {
      const parsed = schema.safeParse(value, ONCE);
      if (parsed.success) return { path, value: parsed.data };
      const bad = parsed.error.issues.flatMap((issue) => {
        const place = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
        return 'keys' in issue ? issue.keys.map((key) => [...place, key]) : [place];
      });
      for (const place of bad) if (!leaveOut(value, place, mayLeaveOut)) return undefined;
    }
  }

  #entry<Schema extends z.ZodType>(schema: Schema, path: Path): Entry<z.output<Schema>> | undefined {
    const value = check(schema, at(this.#raw, path), path, this.#findings, (place) => this.#isBroken(place));
    const holdsBroken = this.#broken.some((place) => isWithin(place, path));
    return value === undefined || holdsBroken ? undefined : { path, value };
  }

  /** A section whose keys all have defaults; those where it has problems. */
  #section<Schema extends z.ZodType>(schema: Schema, key: string): z.output<Schema> {
    const value = at(this.#raw, [key]);
    return (value === undefined ? undefined : this.#entry(schema, [key])?.value) ?? schema.parse({}, ONCE);
  }

  #providers(): ReadonlyMap<string, Entry<ProviderInput>> {
    const shape = configSchema.shape.providers.unwrap();
    const map = at(this.#raw, ['providers']);
    if (map === undefined) return new Map();
    if (asMap(map) === undefined) {
      if (!this.#isBroken(['providers'])) this.#findings.problem(['providers'], 'must be a map of keys');
      return new Map();
    }
    const entries = new Map<string, Entry<ProviderInput>>();
    for (const name of Object.keys(asMap(map) ?? {})) {
      const path = ['providers', name];
      if (!shape.keyType.safeParse(name).success) this.#findings.problem(path, 'is not a name: use letters, digits, dots and hyphens');
      const entry = this.#entry(providerSchema, path);
      if (entry !== undefined) entries.set(name, entry);
    }
    return entries;
  }

  /** What the entries at `path` say under `key`, where it is a text that could be read. */
  #texts(path: Path, key: string): Entry<string>[] {
    const entries = at(this.#raw, path);
    const steps = asList(entries)?.map((_, index) => index) ?? Object.keys(asMap(entries) ?? {});
    return steps.flatMap((step) => {
      const place = [...path, step, key];
      const value = at(this.#raw, place);
      return typeof value !== 'string' || value === '' || this.#isBroken(place) ? [] : [{ path: place, value }];
    });
  }

  #isBroken(path: Path): boolean {
    return this.#broken.some((place) => isWithin(path, place));
  }
}

const asMap = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

const asList = (value: unknown): readonly unknown[] | undefined => (Array.isArray(value) ? value : undefined);

/** Remove the nearest key at or above `place`. @returns False where an entry cannot be without it. */
function leaveOut(value: Readonly<Record<string, unknown>>, place: Path, mayLeaveOut: (key: string) => boolean): boolean {
  for (let length = place.length; length > 0; length -= 1) {
    const key = place[length - 1];
    const map = asMap(at(value, place.slice(0, length - 1)));
    if (typeof key !== 'string' || map === undefined) continue;
    if (!Object.hasOwn(map, key)) continue;
    return (length > 1 || mayLeaveOut(key)) && Reflect.deleteProperty(map, key);
  }
  // Gone already with another key, or never there at the top.
  return place.length > 1 && !Object.hasOwn(value, String(place[0])) && mayLeaveOut(String(place[0]));
}

/** The value at `path`, undefined where there is none. */
function at(value: unknown, path: Path): unknown {
  let here = value;
  for (const step of path) {
    if (typeof step === 'number') here = asList(here)?.[step];
    else {
      const map = asMap(here);
      here = map !== undefined && Object.hasOwn(map, step) ? map[step] : undefined;
    }
  }
  return here;
}

/** True where there is a key or an item at `path`, whatever it holds. */
function exists(value: unknown, path: Path): boolean {
  const parent = at(value, path.slice(0, -1));
  const step = path.at(-1);
  if (step === undefined) return true;
  return typeof step === 'number' ? (asList(parent)?.length ?? 0) > step : Object.hasOwn(asMap(parent) ?? {}, step);
}

function namesIn(list: unknown): string[] {
  return (asList(list) ?? []).map((item) => at(item, ['name'])).filter((name) => typeof name === 'string');
}
