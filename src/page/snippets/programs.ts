/** Programs in several languages, by the library that most of them use. */
import { type Application, type AppSettings, lines, quoted } from './application.ts';

const single = (text: string): string => `'${text.replace(/['\\]/g, String.raw`\$&`)}'`;

const dotnet = ({ host, port, tls, from, username, password }: AppSettings): string =>
  tls === 'implicit'
    ? '// System.Net.Mail.SmtpClient has no implicit TLS: use MailKit, or a listener with tls: starttls.'
    : lines(
        'using System.Net;',
        'using System.Net.Mail;',
        '',
        `using var client = new SmtpClient(${quoted(host)}, ${port});`,
        `client.EnableSsl = ${tls === 'starttls'};`,
        username !== undefined && `client.Credentials = new NetworkCredential(${quoted(username)}, ${quoted(password)});`,
        `client.Send(${quoted(from)}, "someone@example.com", "Subject", "Text");`,
      );

const MAILKIT_TLS = { off: 'None', starttls: 'StartTls', implicit: 'SslOnConnect' } as const;

const mailkit = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    'using MailKit.Net.Smtp;',
    'using MailKit.Security;',
    'using MimeKit;',
    '',
    'var message = new MimeMessage { Subject = "Subject", Body = new TextPart("plain") { Text = "Text" } };',
    `message.From.Add(MailboxAddress.Parse(${quoted(from)}));`,
    'message.To.Add(MailboxAddress.Parse("someone@example.com"));',
    'using var client = new SmtpClient();',
    `client.Connect(${quoted(host)}, ${port}, SecureSocketOptions.${MAILKIT_TLS[tls]});`,
    username !== undefined && `client.Authenticate(${quoted(username)}, ${quoted(password)});`,
    'client.Send(message);',
    'client.Disconnect(true);',
  );

const php = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    '$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);',
    '$mail->isSMTP();',
    `$mail->Host = ${single(host)};`,
    `$mail->Port = ${port};`,
    tls === 'off'
      ? '$mail->SMTPAutoTLS = false;'
      : `$mail->SMTPSecure = PHPMailer\\PHPMailer\\PHPMailer::${tls === 'starttls' ? 'ENCRYPTION_STARTTLS' : 'ENCRYPTION_SMTPS'};`,
    username === undefined
      ? '$mail->SMTPAuth = false;'
      : ['$mail->SMTPAuth = true;', `$mail->Username = ${single(username)};`, `$mail->Password = ${single(password)};`],
    `$mail->setFrom(${single(from)});`,
    "$mail->addAddress('someone@example.com');",
    "$mail->Subject = 'Subject';",
    "$mail->Body = 'Text';",
    '$mail->send();',
  );

const python = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    'import smtplib',
    tls !== 'off' && 'import ssl',
    'from email.message import EmailMessage',
    '',
    'message = EmailMessage()',
    `message["From"] = ${quoted(from)}`,
    'message["To"] = "someone@example.com"',
    'message["Subject"] = "Subject"',
    'message.set_content("Text")',
    tls === 'implicit'
      ? `with smtplib.SMTP_SSL(${quoted(host)}, ${port}, context=ssl.create_default_context()) as server:`
      : `with smtplib.SMTP(${quoted(host)}, ${port}) as server:`,
    tls === 'starttls' && '    server.starttls(context=ssl.create_default_context())',
    username !== undefined && `    server.login(${quoted(username)}, ${quoted(password)})`,
    '    server.send_message(message)',
  );

/** A value in a file of Java properties: backslashes are escapes there. */
const property = (text: string): string => text.replaceAll('\\', String.raw`\\`);

const java = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    `mail.smtp.host=${host}`,
    `mail.smtp.port=${port}`,
    `mail.smtp.auth=${username !== undefined}`,
    tls === 'implicit' ? 'mail.smtp.ssl.enable=true' : `mail.smtp.starttls.enable=${tls === 'starttls'}`,
    tls === 'starttls' && 'mail.smtp.starttls.required=true',
    `mail.smtp.from=${from}`,
    username !== undefined && [
      '# The password is for the Authenticator, or for Transport.connect(user, password):',
      `mail.smtp.user=${property(username)}`,
      `# password: ${password}`,
    ],
  );

const spring = ({ host, port, tls, username, password }: AppSettings): string =>
  lines(
    `spring.mail.host=${host}`,
    `spring.mail.port=${port}`,
    username !== undefined && [`spring.mail.username=${property(username)}`, `spring.mail.password=${property(password)}`],
    `spring.mail.properties.mail.smtp.auth=${username !== undefined}`,
    tls === 'implicit'
      ? 'spring.mail.properties.mail.smtp.ssl.enable=true'
      : `spring.mail.properties.mail.smtp.starttls.enable=${tls === 'starttls'}`,
    tls === 'starttls' && 'spring.mail.properties.mail.smtp.starttls.required=true',
  );

const NODE_TLS = {
  off: 'secure: false, ignoreTLS: true',
  starttls: 'secure: false, requireTLS: true',
  implicit: 'secure: true',
} as const;

const node = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    "import nodemailer from 'nodemailer';",
    '',
    'const transport = nodemailer.createTransport({',
    `  host: ${quoted(host)}, port: ${port}, ${NODE_TLS[tls]},`,
    username !== undefined && `  auth: { user: ${quoted(username)}, pass: ${quoted(password)} },`,
    '});',
    `await transport.sendMail({ from: ${quoted(from)}, to: 'someone@example.com', subject: 'Subject', text: 'Text' });`,
  );

export const PROGRAMS: readonly Application[] = [
  {
    id: 'dotnet',
    title: '.NET SmtpClient',
    language: 'csharp',
    notes: [
      '`EnableSsl` is STARTTLS. `UseDefaultCredentials` must stay `false`; setting it afterwards takes the credentials away again.',
      'In a `web.config`, the same is `<smtp from="…"><network host="…" port="…" userName="…" password="…" enableSsl="…" /></smtp>`.',
    ],
    render: dotnet,
  },
  {
    id: 'mailkit',
    title: '.NET MailKit',
    language: 'csharp',
    notes: ['`SecureSocketOptions.Auto` would guess by the port; say what the listener does.'],
    render: mailkit,
  },
  {
    id: 'php',
    title: 'PHP (PHPMailer)',
    language: 'php',
    notes: ['PHPMailer uses STARTTLS by itself wherever it is offered. `mail()` of PHP itself needs a program: see msmtp.'],
    render: php,
  },
  { id: 'python', title: 'Python', language: 'python', notes: ['`send_message` takes the reverse-path from `From`.'], render: python },
  {
    id: 'java',
    title: 'Java (Jakarta Mail)',
    language: 'properties',
    notes: ['`mail.smtp.from` is the reverse-path: without it, it is made of the user and the machine, which no client may send as.'],
    render: java,
  },
  {
    id: 'spring',
    title: 'Spring Boot',
    language: 'properties',
    notes: ['Set `from` on each message: Spring has no property for it.'],
    render: spring,
  },
  {
    id: 'nodejs',
    title: 'Node.js (Nodemailer)',
    language: 'js',
    notes: ['`secure: false` alone would use STARTTLS wherever it is offered.'],
    render: node,
  },
];
