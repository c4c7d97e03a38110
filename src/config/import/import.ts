/**
 * Reads the configuration of another program and writes ours: the text of a postern.yaml with comments that say where each thing came from.
 *
 * @packageDocumentation
 */
import { X509Certificate } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Document, isMap, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { hashPassword } from '../../platform/password.ts';
import { importProxy } from './emailproxy.ts';
import type { Commented, ImportedConfig, Leftover } from './imported.ts';
import { type IniSection, parseIni } from './ini.ts';
import { importGraph } from './smtp2graph.ts';

/** What to read. */
export interface ImportRequest {
  readonly file: string;
  /** Of email-oauth2-proxy: what `--cache-store` names. */
  readonly cache?: string;
  /** Of SMTP2Graph: the mailbox that sends. */
  readonly mailbox?: string;
}

export type ImportResult =
  | {
      readonly ok: true;
      readonly origin: string;
      readonly text: string;
      readonly accounts: number;
      readonly clients: number;
      readonly leftovers: readonly Leftover[];
    }
  /** Lines that say what is wrong with the old file. */
  | { readonly ok: false; readonly problems: readonly string[] };

const MOST_OCTETS = 1024 * 1024;
const MOST_CERTIFICATES = 200;

/** Never throws for anything that the file may hold. */
export async function importConfig({ file, cache, mailbox }: ImportRequest): Promise<ImportResult> {
  const path = resolve(file);
  const text = await readText(path);
  if (typeof text !== 'string') return { ok: false, problems: [text.problem] };
  const first =
    text
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .find((line) => !/^\s*([#;].*)?$/.test(line)) ?? '';
  if (first.startsWith('[')) return importIni(text, path, cache);
  const document = parseDocument(text, { maxAliasCount: 100 } as object);
  if (document.errors.length > 0 || !isMap(document.contents))
    return { ok: false, problems: [`${path} is neither a configuration of email-oauth2-proxy (INI) nor of SMTP2Graph (YAML)`] };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { ok: false, problems: [`${path}: ${error instanceof Error ? error.message : String(error)}`] };
  }
  const fields = value as Record<string, unknown>;
  if (!('send' in fields) && !('receive' in fields))
    return { ok: false, problems: [`${path} has neither send nor receive: it is not a configuration of SMTP2Graph`] };
  const imported = await importGraph({
    document: fields,
    folder: dirname(path),
    hashPassword,
    findCertificate,
    ...(mailbox === undefined ? {} : { mailbox }),
  });
  return result(imported, path);
}

async function importIni(text: string, path: string, cache: string | undefined): Promise<ImportResult> {
  const parsed = parseIni(text);
  if (!parsed.ok) return { ok: false, problems: parsed.problems.map(({ line, message }) => `${path}:${line}: ${message}`) };
  let cached: readonly IniSection[] = [];
  if (cache !== undefined) {
    const cacheText = await readText(resolve(cache));
    if (typeof cacheText !== 'string') return { ok: false, problems: [cacheText.problem] };
    const store = parseIni(cacheText);
    if (!store.ok) return { ok: false, problems: store.problems.map(({ line, message }) => `${cache}:${line}: ${message}`) };
    cached = store.sections;
  }
  return result(importProxy({ sections: parsed.sections, cache: cached, folder: dirname(path) }), path);
}

async function readText(path: string): Promise<string | { readonly problem: string }> {
  try {
    await using handle = await open(path);
    const stats = await handle.stat();
    if (!stats.isFile()) return { problem: `${path} is not a regular file` };
    if (stats.size > MOST_OCTETS) return { problem: `${path} is larger than 1 MB` };
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await handle.readFile());
  } catch (error) {
    return {
      problem: `cannot read ${path}: ${error instanceof TypeError ? 'it is not UTF-8 text' : error instanceof Error ? error.message : String(error)}`,
    };
  }
}

async function findCertificate(thumbprint: string, keyFile: string): Promise<string | undefined> {
  const wanted = thumbprint.replaceAll(/[^0-9a-f]/gi, '').toUpperCase();
  const folder = dirname(keyFile);
  const names = await readdir(folder).catch(() => []); // No folder, no certificate: the caller says so.
  const files = [basename(keyFile), ...names.filter((name) => /\.(crt|cer|pem)$/i.test(name)).slice(0, MOST_CERTIFICATES)];
  for (const name of files) {
    const text = await readText(join(folder, name));
    if (typeof text === 'string' && text.includes('BEGIN CERTIFICATE') && fingerprintOf(text) === wanted) return join(folder, name);
  }
  return undefined;
}

function fingerprintOf(pem: string): string | undefined {
  try {
    return new X509Certificate(pem).fingerprint.replaceAll(':', '');
  } catch {
    return undefined; // Not a certificate after all.
  }
}

function result(imported: ImportedConfig, path: string): ImportResult {
  const { origin, accounts, clients, leftovers } = imported;
  return { ok: true, origin, text: render(imported, path), accounts: accounts.length, clients: clients.length, leftovers };
}

function render({ origin, smtp, imap, pop3, providers, accounts, clients }: ImportedConfig, path: string): string {
  const document = new Document({
    listeners: { ...some('smtp', smtp), ...some('imap', imap), ...some('pop3', pop3) },
    ...(providers.size === 0 ? {} : { providers: Object.fromEntries([...providers].map(([name, { value }]) => [name, value])) }),
    ...some('accounts', accounts),
    ...some('clients', clients),
  });
  document.commentBefore = ` Made by postern import from ${inComment(path)} (${origin}). Every key: docs/config.md. Try it: postern check`;
  for (const [at, entries] of [
    [['listeners', 'smtp'], smtp],
    [['listeners', 'imap'], imap],
    [['listeners', 'pop3'], pop3],
    [['accounts'], accounts],
    [['clients'], clients],
  ] as const) {
    const sequence = document.getIn(at) as YAMLSeq<YAMLMap> | undefined;
    entries.forEach(({ comment }, index) => {
      const item = sequence?.items[index];
      if (item !== undefined) item.commentBefore = ` ${inComment(comment)}`;
    });
  }
  for (const [name, { comment }] of providers) {
    const item = document.getIn(['providers', name]) as YAMLMap;
    item.commentBefore = ` ${inComment(comment)}`;
  }
  return document.toString({ lineWidth: 0 });
}

const some = (key: string, entries: readonly Commented<object>[]): object =>
  entries.length === 0 ? {} : { [key]: entries.map(({ value }) => value) };

/** One line, whatever a section is called. */
const inComment = (text: string): string => text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
