/**
 * Makes sure that the servers and mail clients which the real-server tests need are installed.
 *
 * On Debian as root, missing packages are installed, and none of their daemons starts: a policy-rc.d (Debian Policy §9.3.3.1) that refuses
 * stands in place meanwhile. Anywhere else the tests are not run, and the reason is printed.
 *
 * @packageDocumentation
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PACKAGES = [
  'postfix',
  'dovecot-core',
  'dovecot-imapd',
  'dovecot-pop3d',
  'dovecot-lmtpd',
  'swaks',
  'libio-socket-ssl-perl',
  'libauthen-sasl-perl',
  'libnet-ssleay-perl',
  'curl',
  'python3',
];

/** As root, on Debian; the arguments are the packages. A lock keeps two test files from installing at once. */
const INSTALL = `
set -eu
mkdir -p /run/lock
exec 9>/run/lock/postern-test-packages
flock 9
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ]; then mv "$policy" "$policy.postern-test"; fi
restore() { rm -f "$policy"; if [ -e "$policy.postern-test" ]; then mv "$policy.postern-test" "$policy"; fi; }
trap restore EXIT
trap 'exit 1' INT TERM
printf '#!/bin/sh\\nexit 101\\n' >"$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
printf 'postfix postfix/main_mailer_type select Local only\\n' | debconf-set-selections || true
apt-get -o DPkg::Lock::Timeout=600 update -q
apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends "$@"
# Nor may they start with the next boot.
if [ -d /run/systemd/system ]; then systemctl disable --quiet postfix dovecot dovecot.socket || true; fi
`;

async function missingPackages(wanted: readonly string[] = PACKAGES): Promise<string[]> {
  const query = ['-W', '-f', '${db:Status-Status} ${Package}\\n', ...wanted];
  // Exits with 1, and still lists the others, when it has never heard of one.
  const { stdout } = await run('dpkg-query', query).catch((error: { stdout: string }) => error);
  const installed = new Set(stdout.split('\n').flatMap((line) => (line.startsWith('installed ') ? [line.slice('installed '.length)] : [])));
  return wanted.filter((name) => !installed.has(name));
}

/**
 * Why the real-server tests cannot run here, with what to do about it; undefined where they can. Installs nothing.
 *
 * POSTERN_REAL=off leaves them out by choice.
 */
export function reasonNotToRun(): string | undefined {
  const command = 'run as root on Debian 12: npm test -- test/real (it installs Postfix, Dovecot and swaks)';
  if (process.env['POSTERN_REAL'] === 'off') return 'POSTERN_REAL=off is set; unset it to run them';
  if (!existsSync('/etc/debian_version')) return `they need Debian's Postfix and Dovecot, and this is not Debian; to have them, ${command}`;
  // Postfix and Dovecot drop privileges to accounts of their own, which only root may do.
  if (process.getuid?.() !== 0) return `they need root; to have them, ${command}`;
  return undefined;
}

/**
 * Install what is missing.
 *
 * @returns Undefined when everything is there, else why the tests cannot run.
 * @throws Error where the tests ought to run, but the installation failed.
 */
export async function ensurePackages(packages: readonly string[] = PACKAGES): Promise<string | undefined> {
  const reason = reasonNotToRun();
  if (reason !== undefined) return reason;
  const missing = await missingPackages(packages);
  if (missing.length === 0) return undefined;
  const failure = await install(missing);
  if (failure !== undefined)
    throw new Error(`real servers: could not install ${missing.join(' ')} (POSTERN_REAL=off leaves these tests out)\n${failure.message}`, {
      cause: failure,
    });
  const left = await missingPackages(packages);
  if (left.length > 0) throw new Error(`real servers: still missing after the installation: ${left.join(' ')}`);
  return undefined;
}

/**
 * Install mail programs, each by itself, where the servers are installed. What cannot be had is printed, and no reason for the others not to be tried.
 */
export async function installReaders(names: readonly string[]): Promise<void> {
  if (reasonNotToRun() !== undefined) return;
  for (const name of await missingPackages(names)) {
    const failure = await install([name]);
    if (failure !== undefined) process.stderr.write(`real servers: could not install ${name}: ${failure.message.slice(-500)}\n`);
  }
}

/** @returns Why not, in the words of apt; undefined where it worked. */
async function install(names: readonly string[]): Promise<Error | undefined> {
  process.stderr.write(`real servers: installing ${names.join(' ')}\n`);
  try {
    await run('sh', ['-c', INSTALL, 'install', ...names], { maxBuffer: 64 * 1024 * 1024 });
    return undefined;
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr).slice(-2000) : String(error);
    return new Error(output, { cause: error });
  }
}
