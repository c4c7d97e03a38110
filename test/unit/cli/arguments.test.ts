import { describe, expect, it } from 'vitest';
import { type CommandShape, type Parsed, parseArguments } from '../../../src/cli/arguments.ts';

const COMMANDS: Readonly<Record<string, CommandShape>> = {
  check: { usage: 'check', maxPositionals: 0 },
  version: { usage: 'version', maxPositionals: 0 },
  login: {
    usage: 'login ACCOUNT',
    minPositionals: 1,
    maxPositionals: 1,
    options: { device: { type: 'boolean' }, 'redirect-uri': { type: 'string' } },
  },
};

const parse = (...args: string[]): Parsed => parseArguments(args, COMMANDS);

function invocation(...args: string[]) {
  const parsed = parse(...args);
  if (parsed.kind !== 'command') throw new Error(JSON.stringify(parsed));
  return { name: parsed.name, ...parsed.invocation };
}

describe('arguments', () => {
  it('name a command, its arguments and options, in any order', () => {
    const expected = { name: 'login', positionals: ['billing'], options: { device: true }, configFile: 'a.yaml', isJson: true };
    expect(invocation('login', 'billing', '--device', '--config', 'a.yaml', '--json')).toEqual(expected);
    expect(invocation('--config', 'a.yaml', '--device', '--json', 'login', 'billing')).toEqual(expected);
    expect(invocation('-c', 'a.yaml', 'login', '--json', 'billing', '--device')).toEqual(expected);
  });

  it('take the value of an option for no command', () => {
    expect(invocation('--redirect-uri', 'check', 'login', 'billing')).toMatchObject({
      name: 'login',
      options: { 'redirect-uri': 'check' },
    });
    expect(invocation('login', '--', 'check')).toMatchObject({ name: 'login', positionals: ['check'] });
  });

  it.each([
    [['check', '--device'], /Unknown option '--device'/],
    [['check', '--bogus'], /Unknown option '--bogus'/],
    [['--bogus'], /Unknown option '--bogus'/],
    [['login', 'billing', '--redirect-uri'], /--redirect-uri/],
    [['login', 'billing', '--device=yes'], /--device/],
    [['login'], /too few arguments: postern login ACCOUNT/],
    [['login', 'a', 'b'], /too many arguments: postern login ACCOUNT/],
    [['check', 'x'], /too many arguments: postern check/],
    [['bogus'], /unknown command: bogus/],
    [['toString'], /unknown command: toString/],
    [[], /no command given/],
    [['--json'], /no command given/],
  ])('%j are a mistake', (args, what) => {
    expect(parse(...args)).toEqual({ kind: 'mistake', what: expect.stringMatching(what) });
  });

  it.each([['--help'], ['-h'], ['help'], ['login', '--help']])('%j asks for help', (...args) => {
    expect(parse(...args)).toEqual({ kind: 'help' });
  });

  it('ask for the version', () => {
    expect(invocation('--version')).toMatchObject({ name: 'version', isJson: false });
    expect(invocation('-V', '--json')).toMatchObject({ name: 'version', isJson: true });
  });
});
