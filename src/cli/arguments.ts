/**
 * From the arguments of `postern` to a command and what it is told.
 *
 * Pure. An option that a command does not know is an error, also where another command knows it: `postern check --device` does not do half of
 * what was meant.
 *
 * @packageDocumentation
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Invocation } from './command.ts';

/** Options of `node:util` parseArgs. */
export type Options = NonNullable<ParseArgsConfig['options']>;

/** What a command may be given. */
export interface CommandShape {
  /** Name, arguments and options, as help shows them. */
  readonly usage: string;
  /** Arguments that it cannot do without; none unless told. */
  readonly minPositionals?: number;
  readonly maxPositionals: number;
  /** Its own, besides {@link COMMON}. */
  readonly options?: Options;
}

export type Parsed =
  | { readonly kind: 'command'; readonly name: string; readonly invocation: Invocation }
  | { readonly kind: 'help' }
  | { readonly kind: 'mistake'; readonly what: string };

const COMMON: Options = {
  config: { type: 'string', short: 'c' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
};

export function parseArguments(args: readonly string[], commands: Readonly<Record<string, CommandShape>>): Parsed {
  const name = commandName(args, commands);
  const shape = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (name !== undefined && name !== 'help' && shape === undefined) return mistake(`unknown command: ${name}`);
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...COMMON, ...shape?.options },
    });
    if (values['version'] === true) return { kind: 'command', name: 'version', invocation: invocationOf(values, []) };
    if (values['help'] === true || name === 'help') return { kind: 'help' };
    if (name === undefined || shape === undefined) return mistake('no command given');
    const given = positionals.slice(1);
    if (given.length > shape.maxPositionals) return mistake(`too many arguments: postern ${shape.usage}`);
    if (given.length < (shape.minPositionals ?? 0)) return mistake(`too few arguments: postern ${shape.usage}`);
    return { kind: 'command', name, invocation: invocationOf(values, given) };
  } catch (error) {
    return mistake(error instanceof Error ? error.message : String(error));
  }
}

const mistake = (what: string): Parsed => ({ kind: 'mistake', what });

/** The first argument that is neither an option nor the value of one, whichever command's. */
function commandName(args: readonly string[], commands: Readonly<Record<string, CommandShape>>): string | undefined {
  const options: Options = Object.assign({}, COMMON, ...Object.values(commands).map((command) => command.options));
  return parseArgs({ args: [...args], allowPositionals: true, strict: false, options }).positionals[0];
}

type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

function invocationOf({ config, json, help: _help, version: _version, ...own }: Values, positionals: readonly string[]): Invocation {
  const options = Object.entries(own).filter((entry): entry is [string, string | boolean] => !Array.isArray(entry[1]));
  return {
    positionals,
    options: Object.fromEntries(options),
    ...(typeof config === 'string' ? { configFile: config } : {}),
    isJson: json === true,
  };
}
