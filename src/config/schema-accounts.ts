/**
 * Schema of the upstream side: `providers` and `accounts`.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import {
  address,
  date,
  duration,
  flag,
  host,
  integer,
  name,
  path,
  port,
  scope,
  secret,
  size,
  tenant,
  text,
  url,
  variable,
} from './schema-parts.ts';

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
  mailboxSessions: integer(1, 10_000)
    .describe('IMAP and POP3 sessions at once for one mailbox; more wait a moment, then are refused.')
    .optional(),
  maxSize: size().describe('Largest message that a mailbox may send, as on the wire (after base64).').optional(),
});

/** Parameters of the authorization request that keep a sign-in safe, or that have keys of their own. */
const OWN_PARAMETERS = [
  'client_id',
  'client_secret',
  'code_challenge',
  'code_challenge_method',
  'redirect_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
];

function refuseOwnParameters(parameters: Readonly<Record<string, string>>, context: z.RefinementCtx): void {
  for (const name of OWN_PARAMETERS) {
    if (Object.hasOwn(parameters, name)) context.addIssue({ code: 'custom', path: [name], message: 'is set by Postern itself' });
  }
}

export const providerSchema = z.strictObject({
  extends: text()
    .describe(
      'Another provider, built in or of this file; each key given here replaces its own. Without it, `tokenUrl` and `smtp` are needed.',
    )
    .optional(),
  authorizeUrl: url().describe('Where people sign in. `{tenant}` stands for `auth.tenant` of the account.').optional(),
  tokenUrl: url().describe('Where tokens come from. `https://` only; `http://` is accepted on loopback.').optional(),
  deviceUrl: url().describe('Where a sign-in by device code starts.').optional(),
  authorizeParameters: z
    .record(z.string(), text())
    .superRefine(refuseOwnParameters)
    .describe(
      'Sent along when somebody signs in, as name and value. Google needs `access_type: offline` and `prompt: consent`, and its preset has them.',
    )
    .optional(),
  redirectUri: url()
    .describe(
      'Where the browser goes after a sign-in (`postern login`); registered with the provider. On loopback without a port any free one is used. Default: `http://localhost/oauth/callback`, for `google` the same at `127.0.0.1`.',
    )
    .optional(),
  identityScopes: z
    .array(scope())
    .describe('Asked for in addition when somebody signs in, so that the provider says who it was: `openid` and `profile` or `email`.')
    .optional(),
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

/** Ways to prove which application asks; one of them at most. */
const clientProofKeys = {
  clientSecret: secret()
    .describe('Its secret: the value, not the id of the secret. Left out for public clients (desktop applications) and with another proof.')
    .optional(),
  clientSecretExpires: date()
    .describe('The day on which the secret ends, as shown where it was made: 2027-03-01. Alerts come 30, 14, 7 and 1 days before.')
    .optional(),
  certificate: z
    .strictObject({
      cert: path().describe('Certificate registered for the application, PEM.'),
      key: path().describe('Its private key, PEM, RSA; may be encrypted. Default: in the file of `cert`.').optional(),
      passphrase: secret().describe('Passphrase of the key.').optional(),
    })
    .describe('In place of a secret: prove the application by a certificate.')
    .optional(),
  federatedTokenFile: path()
    .describe(
      'In place of a secret: a file with a token by which the platform vouches for the application (workload identity). It is read for each request.',
    )
    .optional(),
};

const clientIdKey = text()
  .describe('Id of the application registered with the provider. Default: with `federatedTokenFile`, `AZURE_CLIENT_ID`.')
  .optional();

const tenantKey = tenant()
  .describe(
    "The organisation's directory: its id or one of its domains. Needed where the provider's URLs say `{tenant}`. Default: with `federatedTokenFile`, `AZURE_TENANT_ID`.",
  )
  .optional();

const refreshTokenSchema = z.strictObject({
  grant: z.literal('refresh_token').describe('A person has signed in once; their refresh token is used from then on.'),
  tenant: tenantKey,
  clientId: clientIdKey,
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
  clientId: clientIdKey,
  ...clientProofKeys,
  managedIdentity: flag()
    .describe(
      'In place of a secret, on Azure: the identity of the machine asks. Then `clientId` is that of a user-assigned identity, and left out for the one of the machine.',
    )
    .optional(),
  scopes: z
    .array(scope())
    .length(1, { error: 'must hold exactly one scope' })
    .describe("Replaces the provider's `applicationScopes`. Default: those of the provider.")
    .optional(),
});

const serviceAccountSchema = z.strictObject({
  grant: z
    .literal('service_account')
    .describe('A Google service account acts for the mailbox (domain-wide delegation). Nobody has to sign in.'),
  keyFile: path().describe('Key of the service account: the JSON file that Google gives out.').optional(),
  clientEmail: text().describe('In place of `keyFile`, with `privateKey`: address of the service account.').optional(),
  privateKey: secret().describe('In place of `keyFile`, with `clientEmail`: its private key, PEM.').optional(),
  scopes: z.array(scope()).min(1).describe("Replaces the provider's `scopes`. Default: those of the provider.").optional(),
});

const commandSchema = z.strictObject({
  grant: z.literal('command').describe('A program prints the access token: pizauth, a vault, a password manager.'),
  command: z
    .array(text())
    .min(1)
    .describe(
      'Program and arguments, as a list. No shell reads them, and every user of the machine can: no secrets here. It prints the token alone, or JSON with `access_token` and `expires_in`.',
    ),
  timeout: duration().prefault('10s').describe('After this it is killed, with all that it started. At most 30s.'),
  passEnvironment: z
    .array(variable())
    .prefault([])
    .describe('Names of environment variables that it gets besides `PATH`, `HOME` and a few others without secrets. Default: none.'),
});

const basicSchema = z.strictObject({
  grant: z.literal('basic').describe('User name and password, for upstreams that still take them. The user name is `smtpUser`.'),
  password: secret().describe('Password of the mailbox, or an application password.'),
});

/** A new grant becomes one more entry here. */
export const authSchema = z.discriminatedUnion('grant', [
  refreshTokenSchema,
  clientCredentialsSchema,
  serviceAccountSchema,
  commandSchema,
  basicSchema,
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
      '`direct`: the application waits for the answer of the provider; nothing is written to disk. `queue`: accepted once it is on disk, and delivered then. `auto`: tried at once, and queued where the provider cannot take it now; refusals go to the application. Default: `delivery.mode`.',
    )
    .optional(),
  pop3: z
    .enum(['auto', 'proxy', 'imap'])
    .describe(
      'How applications that speak POP3 are served. `proxy`: from POP3 of the provider. `imap`: from INBOX over IMAP, so the provider needs no POP3. `auto`: from POP3 where the provider has it and lets it be used, else from IMAP. But for `proxy` the token must allow IMAP as well. Default: `auto`.',
    )
    .optional(),
});

export type ProviderInput = z.output<typeof providerSchema>;
export type AuthInput = z.output<typeof authSchema>;
export type AccountInput = z.output<typeof accountSchema>;
