/** What to do at each provider before an account can be filled in; values in `code` are to be copied. Sources: docs/providers.md. */

/** A step: words, and perhaps something to copy. */
export interface GuideStep {
  readonly text: string;
  readonly link?: string;
  readonly copy?: string;
}

type Grant = 'refresh_token' | 'client_credentials';

const ENTRA = 'https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade';
const EXCHANGE_SMTP = (mailbox: string): string => `Set-CASMailbox ${mailbox} -SmtpClientAuthenticationDisabled $false`;

/** @param mailbox - As filled in, for commands ready to paste. */
export function guideFor(provider: string, grant: Grant, mailbox: string, clientId: string): readonly GuideStep[] {
  const [box, id] = [mailbox === '' ? 'billing@contoso.com' : mailbox, clientId === '' ? 'CLIENT_ID' : clientId];
  if (/^(microsoft365|outlook)/.test(provider)) return grant === 'refresh_token' ? microsoftPerson(box) : microsoftApplication(box, id);
  if (/^(google|gmail)/.test(provider)) return google();
  return [
    {
      text: 'Register an application with the provider and note its client id and secret. docs/providers.md tells what each provider needs.',
    },
  ];
}

function microsoftPerson(mailbox: string): readonly GuideStep[] {
  return [
    { text: 'App registrations > New registration. Note the Application (client) ID and the Directory (tenant) ID.', link: ENTRA },
    {
      text: 'Authentication > Add a platform > Mobile and desktop applications, with this redirect URI:',
      copy: 'http://localhost/oauth/callback',
    },
    { text: 'Authentication > Advanced settings > Allow public client flows: Yes. It is needed for the code on another device.' },
    {
      text: 'API permissions > Add > Office 365 Exchange Online or Microsoft Graph > Delegated permissions:',
      copy: 'SMTP.Send offline_access',
    },
    { text: 'SMTP AUTH must be on for the mailbox, in Exchange Online PowerShell:', copy: EXCHANGE_SMTP(mailbox) },
  ];
}

function microsoftApplication(mailbox: string, clientId: string): readonly GuideStep[] {
  return [
    { text: 'App registrations > New registration. Note the Application (client) ID and the Directory (tenant) ID.', link: ENTRA },
    {
      text: 'API permissions > Add > APIs my organization uses > Office 365 Exchange Online > Application permissions; then Grant admin consent:',
      copy: 'SMTP.SendAsApp',
    },
    { text: 'Certificates & secrets > New client secret. Copy its value, not its id.' },
    {
      text: 'In Exchange Online PowerShell, with the object id of the Enterprise application (not of the registration):',
      copy: `New-ServicePrincipal -AppId ${clientId} -ObjectId ENTERPRISE_APP_OBJECT_ID\nAdd-MailboxPermission -Identity ${mailbox} -User ENTERPRISE_APP_OBJECT_ID -AccessRights FullAccess`,
    },
    { text: 'SMTP AUTH must be on for the mailbox:', copy: EXCHANGE_SMTP(mailbox) },
  ];
}

function google(): readonly GuideStep[] {
  return [
    {
      text: 'Create a project, then an OAuth client of type Desktop app. Note its client id and secret.',
      link: 'https://console.cloud.google.com/apis/credentials',
    },
    {
      text: 'OAuth consent screen: internal, or published; in testing, refresh tokens end after 7 days. Add the scope:',
      copy: 'https://mail.google.com/',
    },
  ];
}
