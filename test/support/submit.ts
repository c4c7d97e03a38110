/**
 * Submits one message with nodemailer's SMTP client, on a connection of its own, as most legacy applications do.
 *
 * @packageDocumentation
 */
import SmtpConnection from 'nodemailer/lib/smtp-connection';

export interface SubmitOptions {
  readonly port: number;
  readonly login?: { readonly user: string; readonly pass: string };
  readonly from?: string;
  readonly to?: string | readonly string[];
  readonly content?: string | Buffer;
  /** Address to connect from. */
  readonly localAddress?: string;
}

/** What the application reads at the end: the last reply, whatever it was. */
export interface Submitted {
  readonly code: number;
  readonly response: string;
  /** Command that was refused. */
  readonly command?: string;
}

export async function submit(options: SubmitOptions): Promise<Submitted> {
  const {
    port,
    login,
    from = 'billing@sandbox.test',
    to = 'someone@example.test',
    content = 'Subject: test\r\n\r\nbody\r\n',
    localAddress,
  } = options;
  const connection = new SmtpConnection({
    host: '127.0.0.1',
    port,
    ignoreTLS: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const submission = async (): Promise<{ response: string }> => {
    await new Promise<void>((resolve, reject) => {
      connection.once('error', reject);
      connection.connect(() => resolve());
    });
    if (login !== undefined) await settle((done) => connection.login({ user: login.user, pass: login.pass }, done));
    return settle<{ response: string }>((done) => connection.send({ from, to: [to].flat() }, content, done));
  };
  try {
    // A server that goes without a word is no error to the library: it just says nothing more. Where there is an error, that comes first.
    const gone = new Promise<never>((_resolve, reject) =>
      connection.once('end', () => setImmediate(reject, new Error('the server has gone'))),
    );
    const info = await Promise.race([submission(), gone]);
    return { code: Number(info.response.slice(0, 3)), response: info.response };
  } catch (error) {
    if (!(error instanceof Error) || !('responseCode' in error)) throw error;
    const { responseCode, response, command } = error as Error & { responseCode: number; response: string; command?: string };
    return { code: responseCode, response, ...(command === undefined ? {} : { command }) };
  } finally {
    connection.close();
  }
}

type Done<Result> = (error?: Error | null, result?: Result) => void;

function settle<Result>(start: (done: Done<Result>) => void): Promise<Result> {
  return new Promise((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result as Result))));
}
