/**
 * Opens an address in the browser of whoever sits at this machine, if somebody does.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';

/** A program and its arguments. */
export type BrowserCommand = readonly [program: string, ...args: string[]];

type Environment = Readonly<Record<string, string | undefined>>;

const isSet = (value: string | undefined): boolean => value !== undefined && value !== '';

/**
 * What opens `url` here. Undefined where there is no desktop: xdg-open would take the terminal for a text browser.
 *
 * @param url - http or https, as the URL class writes it. It is an argument of its own: no shell reads it (`start` of cmd.exe would stop at `&`).
 */
export function browserCommand(platform: NodeJS.Platform, env: Environment, url: string): BrowserCommand | undefined {
  switch (platform) {
    case 'darwin':
      return ['open', url];
    case 'win32':
      return ['rundll32', 'url.dll,FileProtocolHandler', url];
    default:
      return isSet(env['DISPLAY']) || isSet(env['WAYLAND_DISPLAY']) ? ['xdg-open', url] : undefined;
  }
}

/** Starts it and looks no further: the person has been shown the address as well. @returns False where there is nothing to start. */
export function openBrowser(url: string): boolean {
  const command = browserCommand(process.platform, process.env, url);
  if (command === undefined) return false;
  const [program, ...args] = command;
  const child = spawn(program, args, { detached: true, stdio: 'ignore' });
  child.on('error', () => undefined); // Not installed: the address can be copied.
  child.unref();
  return true;
}
