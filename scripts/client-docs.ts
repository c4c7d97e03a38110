/** docs/clients: settings of applications, rendered from what the admin page shows. */
import { APPLICATIONS } from '../src/page/snippets/applications.ts';
import type { Application, AppSettings } from '../src/page/snippets/application.ts';

const LOCAL: AppSettings = {
  host: 'localhost',
  port: '2525',
  tls: 'off',
  from: 'billing@contoso.com',
  username: 'erp',
  password: 'PASSWORD',
};
const REMOTE: AppSettings = { ...LOCAL, host: 'relay.example.com', port: '587', tls: 'starttls' };

/** Cases, in the order in which somebody looks for them. */
const CASES: readonly { readonly title: string; readonly settings: AppSettings }[] = [
  { title: 'On the same machine, with a password', settings: LOCAL },
  { title: 'From another machine, with a password, over STARTTLS', settings: REMOTE },
  { title: 'From another machine, with a password, over implicit TLS', settings: { ...REMOTE, port: '465', tls: 'implicit' } },
  { title: 'Known by its address, without a password', settings: { ...REMOTE, port: '2525', tls: 'off', username: undefined } },
];

/** By path. */
export function renderClientDocs(): Readonly<Record<string, string>> {
  const pages = APPLICATIONS.map((application): [string, string] => [`docs/clients/${application.id}.md`, renderPage(application)]);
  return { 'docs/clients/README.md': renderIndex(), ...Object.fromEntries(pages) };
}

function renderIndex(): string {
  const list = APPLICATIONS.map(({ id, title }) => `- [${title}](${id}.md)`).join('\n');
  return `# Settings for applications

Ready to paste. The page *Set up* shows the same with your host, port, user name and password filled in.

${list}

What all of them need:

- A [client](../config.md#clients) in Postern: a user name with a password, or the networks that the application comes from.
- A sender that the client may use: the account's mailbox, or one listed under \`senders\`. \`onOtherSender: rewrite\` puts the mailbox in place of any other.
- A listener that is reached: on loopback for applications on the same machine, else with \`host\`, and with \`tls\`, \`cert\` and \`key\` where passwords go over a network. The application has to trust the
  certificate's issuer.
- If something is refused, the log says why and what to do: [errors.md](../errors.md). \`postern trace start client NAME\` shows the dialogue.

<!-- Made by npm run generate from src/page/snippets. -->
`;
}

function renderPage({ title, language, notes, render }: Application): string {
  const cases = CASES.map(({ title: heading, settings }) => `## ${heading}\n\n\`\`\`${language}\n${render(settings)}\n\`\`\`\n`);
  return `# ${title}

${notes.map((note) => `- ${note}`).join('\n')}

Replace names, addresses and \`PASSWORD\`. What every application needs: [Settings for applications](README.md).

${cases.join('\n')}
<!-- Made by npm run generate from src/page/snippets. -->
`;
}
