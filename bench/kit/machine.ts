/**
 * What a figure depends on, for the head of a report.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

const GIGA = 1024 ** 3;

export const HAPROXY = '/usr/sbin/haproxy';
export const POSTFIX = '/usr/lib/postfix/sbin/master';

/** One line on the machine and one on versions. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const versions = [`Node ${process.version}`, `Postern ${version}`];
  if (existsSync(POSTFIX))
    versions.push(`Postfix ${execFileSync('/usr/sbin/postconf', ['-d', '-h', 'mail_version'], { encoding: 'utf8' }).trim()}`);
  if (existsSync(HAPROXY)) versions.push(`haproxy ${/version (\S+)/.exec(execFileSync(HAPROXY, ['-v'], { encoding: 'utf8' }))?.[1]}`);
  for (const name of ['smtp-server', 'nodemailer']) {
    const text = readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8');
    versions.push(`${name} ${(JSON.parse(text) as { version: string }).version}`);
  }
  return `${cpus().length} × ${cpu?.model.trim()}, ${(totalmem() / GIGA).toFixed(0)} GB, Linux ${release()}\n${versions.join(', ')}`;
}

/** Runnable processes of the last minute: others that share the machine. */
export const load = (): string => `load ${loadavg()[0]?.toFixed(2)}`;

/** For {@link ./case.ts}: what has to be there, and how it is had. */
export function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => !existsSync(program));
  if (absent.length > 0)
    return `${absent.join(' and ')} missing: apt-get install ${absent.map((path) => (path === POSTFIX ? 'postfix' : path.slice(path.lastIndexOf('/') + 1))).join(' ')}`;
  return programs.includes(POSTFIX) && process.getuid?.() !== 0 ? 'Postfix needs root' : undefined;
}
