/**
 * Settings of applications, ready to paste. Texts only: nothing here is run.
 *
 * Sources: the applications' own manuals; docs/clients.md says more about each.
 *
 * @packageDocumentation
 */

/** What an application needs to know. */
export interface AppSettings {
  readonly host: string;
  readonly port: string;
  readonly from: string;
  /** Undefined: it proves itself by its address. */
  readonly username: string | undefined;
  /** The password, or a word that stands for it. */
  readonly password: string;
}

/** By the name of the application. */
export function snippetsFor(settings: AppSettings): Readonly<Record<string, string>> {
  return {
    'Printer or scanner panel': panel(settings),
    'AEM (Day CQ Mail Service)': aem(settings),
    '.NET': dotnet(settings),
    PHP: php(settings),
    Python: python(settings),
    Java: java(settings),
    'Node.js': node(settings),
    Thunderbird: thunderbird(settings),
  };
}

const panel = ({ host, port, from, username, password }: AppSettings): string =>
  [
    `SMTP server:     ${host}`,
    `Port:            ${port}`,
    'Encryption:      none (SSL/TLS off)',
    ...(username === undefined
      ? ['Authentication:  none']
      : ['Authentication:  SMTP AUTH (PLAIN or LOGIN)', `User name:       ${username}`, `Password:        ${password}`]),
    `Sender address:  ${from}`,
  ].join('\n');

const aem = ({ host, port, from, username, password }: AppSettings): string =>
  [
    '# /system/console/configMgr > Day CQ Mail Service (com.day.cq.mailer.DefaultMailService)',
    `smtp.host="${host}"`,
    `smtp.port=I"${port}"`,
    ...(username === undefined ? [] : [`smtp.user="${username}"`, `smtp.password="${password}"`]),
    `from.address="${from}"`,
    'smtp.ssl=B"false"',
    'smtp.starttls=B"false"',
  ].join('\n');

const dotnet = ({ host, port, from, username, password }: AppSettings): string =>
  [
    `using var client = new SmtpClient(${quoted(host)}, ${port});`,
    'client.EnableSsl = false;',
    ...(username === undefined ? [] : [`client.Credentials = new NetworkCredential(${quoted(username)}, ${quoted(password)});`]),
    `client.Send(${quoted(from)}, "someone@example.com", "Subject", "Text");`,
  ].join('\n');

const php = ({ host, port, from, username, password }: AppSettings): string =>
  [
    '// PHPMailer',
    '$mail = new PHPMailer(true);',
    '$mail->isSMTP();',
    `$mail->Host = ${single(host)};`,
    `$mail->Port = ${port};`,
    '$mail->SMTPAutoTLS = false;',
    ...(username === undefined
      ? ['$mail->SMTPAuth = false;']
      : ['$mail->SMTPAuth = true;', `$mail->Username = ${single(username)};`, `$mail->Password = ${single(password)};`]),
    `$mail->setFrom(${single(from)});`,
  ].join('\n');

const python = ({ host, port, from, username, password }: AppSettings): string =>
  [
    'import smtplib',
    `with smtplib.SMTP(${quoted(host)}, ${port}) as server:`,
    ...(username === undefined ? [] : [`    server.login(${quoted(username)}, ${quoted(password)})`]),
    `    server.sendmail(${quoted(from)}, ["someone@example.com"], "Subject: Hello\\r\\n\\r\\nText")`,
  ].join('\n');

const java = ({ host, port, from, username, password }: AppSettings): string =>
  [
    `mail.smtp.host=${host}`,
    `mail.smtp.port=${port}`,
    `mail.smtp.auth=${username !== undefined}`,
    'mail.smtp.starttls.enable=false',
    `mail.smtp.from=${from}`,
    ...(username === undefined ? [] : ['# and for the Authenticator:', `mail.smtp.user=${username}`, `mail.smtp.password=${password}`]),
  ].join('\n');

const node = ({ host, port, from, username, password }: AppSettings): string =>
  [
    'const transport = nodemailer.createTransport({',
    `  host: ${quoted(host)}, port: ${port}, secure: false, ignoreTLS: true,`,
    ...(username === undefined ? [] : [`  auth: { user: ${quoted(username)}, pass: ${quoted(password)} },`]),
    '});',
    `await transport.sendMail({ from: ${quoted(from)}, to: 'someone@example.com', subject: 'Hello', text: 'Text' });`,
  ].join('\n');

const thunderbird = ({ host, port, username }: AppSettings): string =>
  [
    'Account settings > Outgoing server (SMTP)',
    `Server name:            ${host}`,
    `Port:                   ${port}`,
    'Connection security:    None',
    `Authentication method:  ${username === undefined ? 'No authentication' : 'Password, transmitted insecurely'}`,
    ...(username === undefined ? [] : [`User name:              ${username}`]),
  ].join('\n');

const quoted = (text: string): string => JSON.stringify(text);
const single = (text: string): string => `'${text.replace(/['\\]/g, String.raw`\$&`)}'`;
