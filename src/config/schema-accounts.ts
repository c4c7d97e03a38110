/**
 * Schema of the upstream side: `providers` and `accounts`.
 *
 * @packageDocumentation
 */
import { z } from 'zod';
import { address, flag, host, integer, name, path, port, scope, secret, size, tenant, text, url } from './schema-parts.ts';

/** A mail server of a provider; what is left out comes from `extends`, and last from the defaults named. */
const endpointSchema = (ports: string, protection: string) =>
  z.strictObject({
    host: host().describe('Host name.').optional(),
    port: port().describe(`TCP port. Default: ${ports}.`).optional(),
    tls: z.enum(['starttls', 'implicit']).describe(`Encryption is never optional upstream. Default: \`${protection}\`.`).optional(),
  });

const limitsSchema = z.strictObject({
  connections: integer(1, 100).describe('Submission sessions at once for one mailbox.').optional(),
  messagesPerMinute: integer(1, 1_000_000).describe('Messages a minute for one mailbox.').optional(),
  recipientsPerDay: integer(1, 1_000_000_000).describe('Recipients in any 24 hours for one mailbox.').optional(),
  maxSize: size().describe('Largest message that a mailbox may send, as on the wire (after base64).').optional(),
});

export const providerSchema = z.strictObject({
  extends: text()
    .describe(
      'Another provider, built in or of this file; each key given here replaces its own. Without it, `tokenUrl` and `smtp` are needed.',
    )
    .optional(),
  authorizeUrl: url().describe('Where people sign in. `{tenant}` stands for `auth.tenant` of the account.').optional(),
  tokenUrl: url().describe('Where tokens come from. `https://` only; `http://` is accepted on loopback.').optional(),
  deviceUrl: url().describe('Where a sign-in by device code starts.').optional(),
  scopes: z.array(scope()).describe('Scopes for tokens of a person (`refresh_token`).').optional(),
  applicationScopes: z.array(scope()).describe('Scopes for tokens of an application (`client_credentials`).').optional(),
  mechanism: z.enum(['XOAUTH2', 'OAUTHBEARER']).describe('SASL mechanism of the mail servers. Default: `XOAUTH2`.').optional(),
  smtp: endpointSchema('587, with implicit TLS 465', 'starttls').describe('Submission server.').optional(),
  imap: endpointSchema('993, with STARTTLS 143', 'implicit').describe('IMAP server.').optional(),
  pop3: endpointSchema('995, with STARTTLS 110', 'implicit').describe('POP3 server.').optional(),
  caFile: path()
    .describe("PEM file with certificates trusted in addition to the system's, for the mail and token hosts of this provider.")
    .optional(),
  limits: limitsSchema
    .describe('What the provider lets one mailbox do. Postern keeps to it. Default: that of `extends`, else the limits of Microsoft 365.')
    .optional(),
});

/** Other ways than a client secret to prove which application asks. Known, but not available yet: see not-yet.ts. */
const clientProofKeys = {
  certificate: z
    .strictObject({
      cert: path().describe('Certificate registered for the application, PEM.').optional(),
      key: path().describe('Its private key, PEM.').optional(),
      passphrase: secret().describe('Passphrase of the key.').optional(),
    })
    .describe('Prove the application by a certificate. Not available in this version.')
    .optional(),
  federatedTokenFile: path()
    .describe('Prove the application by a token that the platform writes to this file (workload identity). Not available in this version.')
    .optional(),
  managedIdentity: flag().describe('Use the managed identity of the machine. Not available in this version.').optional(),
};

const tenantKey = tenant()
  .describe("The organisation's directory: its id or one of its domains. Needed where the provider's URLs say `{tenant}`.")
  .optional();

const refreshTokenSchema = z.strictObject({
  grant: z.literal('refresh_token').describe('A person has signed in once; their refresh token is used from then on.'),
  tenant: tenantKey,
  clientId: text().describe('Id of the application registered with the provider.'),
  clientSecret: secret().describe('Its secret; left out for public clients (desktop applications).').optional(),
  ...clientProofKeys,
  refreshToken: secret()
    .describe('The first refresh token. Newer ones are kept, encrypted, in `state.dir`; putting another one here wins over them.')
    .optional(),
  scopes: z
    .array(scope())
    .min(1)
    .describe("Replaces the provider's `scopes`; ask for less here if the person allowed less. Default: those of the provider.")
    .optional(),
});

const clientCredentialsSchema = z.strictObject({
  grant: z.literal('client_credentials').describe('The application signs in as itself; nobody has to.'),
  tenant: tenantKey,
  clientId: text().describe('Id of the application registered with the provider.'),
  clientSecret: secret().describe('Its secret (the value, not the id of the secret).').optional(),
  ...clientProofKeys,
  scopes: z
    .array(scope())
    .length(1, { error: 'must hold exactly one scope' })
    .describe("Replaces the provider's `applicationScopes`. Default: those of the provider.")
    .optional(),
});

/** Grants whose keys are not fixed yet. Anything goes here, since not-yet.ts refuses the grant itself. */
const later = <Grant extends string>(grant: Grant, meaning: string) =>
  z.looseObject({ grant: z.literal(grant).describe(`${meaning} Not available in this version.`) });

/** A new grant becomes one more entry here (and one line less in not-yet.ts). */
export const authSchema = z.discriminatedUnion('grant', [
  refreshTokenSchema,
  clientCredentialsSchema,
  later('service_account', 'A Google service account signs in for the mailbox.'),
  later('command', 'A program prints the access token.'),
  later('basic', 'User name and password, for upstreams that still take them.'),
]);

export const accountSchema = z.strictObject({
  name: name().describe('How clients, commands and log lines call it.'),
  provider: text()
    .describe(
      'One of `microsoft365`, `microsoft365-gcc-high`, `microsoft365-dod`, `microsoft365-china`, `outlook`, `google`, `yahoo`, `aol`, `fastmail`, `sandbox`, or one under `providers`.',
    )
    .prefault('microsoft365'),
  mailbox: address().describe('The mailbox: XOAUTH2 user, and the sender allowed by default.'),
  smtpUser: address()
    .describe('XOAUTH2 user for SMTP where it differs: for a shared mailbox, the person who may send as it. Default: the mailbox.')
    .optional(),
  auth: authSchema.describe('How it gets its access tokens.'),
  delivery: z
    .enum(['auto', 'direct', 'queue'])
    .describe(
      '`direct`: the application waits for the answer of the provider. `queue`: accepted once it is on disk. `auto`: direct, and queued where the provider cannot take it now. In this version `auto` runs as `direct`. Default: `delivery.mode`.',
    )
    .optional(),
});

export type ProviderInput = z.output<typeof providerSchema>;
export type AuthInput = z.output<typeof authSchema>;
export type AccountInput = z.output<typeof accountSchema>;
