/**
 * Which secrets an account has, and when they end where that can be known. Values stay where they are.
 *
 * @packageDocumentation
 */
import { open } from 'node:fs/promises';
import type { AuthSettings } from '../core/account.ts';
import { problem } from '../core/problem.ts';
import type { KnownSecret } from '../doctor/examination.ts';
import { endOfCertificate } from './secret-ends.ts';

/** All of them, in the order in which an operator thinks of them. */
export async function knownSecrets(auth: AuthSettings): Promise<readonly KnownSecret[]> {
  switch (auth.grant) {
    case 'service_account':
      return [{ what: 'private key of the service account' }];
    case 'basic':
      return [{ what: 'password' }];
    case 'command':
      return [];
    case 'client_credentials':
      return auth.managedIdentity === true ? [] : proofs(auth);
    default: {
      const seed = auth.refreshToken === undefined ? [] : [{ what: 'refresh token' }];
      return [...(await proofs(auth)), ...seed];
    }
  }
}

type Proof = Pick<
  Extract<AuthSettings, { grant: 'refresh_token' }>,
  'clientSecret' | 'clientSecretExpires' | 'certificate' | 'federatedTokenFile'
>;

async function proofs({ clientSecret, clientSecretExpires, certificate, federatedTokenFile }: Proof): Promise<readonly KnownSecret[]> {
  return [
    ...(clientSecret === undefined ? [] : [{ what: 'client secret', ...ending(clientSecretExpires) }]),
    ...(certificate === undefined ? [] : [{ what: 'certificate', ...ending(endOfCertificate(certificate)) }]),
    ...(federatedTokenFile === undefined ? [] : [await tryFile(federatedTokenFile)]),
  ];
}

const ending = (endsAt: KnownSecret['endsAt']): Pick<KnownSecret, 'endsAt'> => (endsAt === undefined ? {} : { endsAt });

/** The platform writes the file; it is read anew at each use, and so here. */
async function tryFile(path: string): Promise<KnownSecret> {
  const what = 'federated token';
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    return size > 0 ? { what } : { what, trouble: problem('SECRET_UNREADABLE', `${path} is empty`) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { what, trouble: problem('SECRET_UNREADABLE', `${path} cannot be read (${code})`) };
  }
}
