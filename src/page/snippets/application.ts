/**
 * What settings for an application are made of.
 *
 * @packageDocumentation
 */
import type { ListenerTls } from '../../core/listener.ts';

/** What an application needs to know. */
export interface AppSettings {
  readonly host: string;
  readonly port: string;
  readonly tls: ListenerTls;
  /** An address that the client may send as. */
  readonly from: string;
  /** Undefined: it proves itself by its address. */
  readonly username: string | undefined;
  /** The password, or a word that stands for it. */
  readonly password: string;
}

/** One that Postern knows settings for. */
export interface Application {
  /** Name of its page in docs/clients. */
  readonly id: string;
  readonly title: string;
  /** For the fence around it in Markdown. */
  readonly language: string;
  /** What the settings do not say by themselves; Markdown without links. */
  readonly notes: readonly string[];
  /** Texts only: nothing here is run. */
  readonly render: (settings: AppSettings) => string;
}

/** Lines, without those that do not apply. */
export const lines = (...all: readonly (string | false | readonly string[])[]): string =>
  all.flatMap((line) => (line === false ? [] : line)).join('\n');

/** A string in double quotes with the escapes of JSON, which C#, Java, JavaScript and Python share. */
export const quoted = (text: string): string => JSON.stringify(text);
