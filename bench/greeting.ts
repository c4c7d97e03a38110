/**
 * What a connection costs before its first reply: stock smtp-server against our session.
 *
 * Legacy applications open a connection per message. Prints connect-to-220 and a whole message (connect, EHLO, MAIL, RCPT, DATA, QUIT, one by one),
 * medians of both servers taken in turns in one process, and their ratio.
 *
 *     node --import tsx bench/greeting.ts [rounds]
 */
import { connect, type AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { octets } from '../src/core/octets.ts';
import { SmtpListener } from '../src/listener/smtp-listener.ts';
import { systemClock } from '../src/platform/system-clock.ts';
import { systemRandom } from '../src/platform/system-random.ts';
import { ClientDirectory } from '../src/policy/client-directory.ts';
import { MemoryLog } from '../test/support/memory-log.ts';
import { ScriptedSubmission } from '../test/support/scripted-submission.ts';

const rounds = Number(process.argv[2] ?? 100);

interface Subject {
  readonly name: string;
  readonly port: number;
  close(): Promise<void>;
}

async function stock(): Promise<Subject> {
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    logger: false,
    onData: (stream, _session, done) => void stream.resume().on('end', () => done(null, 'OK')),
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.server.address() as AddressInfo;
  return { name: 'smtp-server', port, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

async function ours(): Promise<Subject> {
  const sender = {
    name: 'bench',
    account: 'bench',
    networks: ['127.0.0.0/8'],
    senders: ['*@postern.test'],
    onOtherSender: 'refuse',
  } as const;
  const listener = new SmtpListener(
    {
      name: 'bench',
      host: '127.0.0.1',
      port: 0,
      tls: 'off',
      minTls: 'TLSv1.2',
      requireAuth: false,
      requireTls: false,
      maxSize: octets(1e7),
      maxRecipients: 100,
    },
    {
      submission: new ScriptedSubmission(),
      clients: new ClientDirectory([sender]),
      clock: systemClock,
      random: systemRandom,
      log: new MemoryLog(),
      hostname: 'relay.test',
    },
  );
  const { port } = await listener.open();
  return { name: 'postern', port, close: () => listener.close(0 as Parameters<typeof listener.close>[0]) };
}

const STEPS = [
  'EHLO bench',
  'MAIL FROM:<a@postern.test>',
  'RCPT TO:<b@example.test>',
  'DATA',
  `Subject: x\r\n\r\n${'text\r\n'.repeat(150)}.`,
  'QUIT',
];

/** Milliseconds to the greeting and to the reply to QUIT. */
function message(port: number): Promise<{ greeting: number; whole: number }> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    let greeting = 0;
    let step = 0;
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      if (!/^\d{3} .*\r\n$/m.test(received)) return;
      if (/^[45]/.test(received)) reject(new Error(received));
      received = '';
      if (step === 0) greeting = performance.now() - started;
      const command = STEPS[step++];
      if (command !== undefined) {
        socket.write(`${command}\r\n`);
        return;
      }
      socket.end();
      resolve({ greeting, whole: performance.now() - started });
    });
    socket.on('error', reject);
  });
}

const median = (values: number[]): number => values.sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;

const subjects = [await stock(), await ours()];
const figures = new Map(subjects.map(({ name }) => [name, { greeting: [] as number[], whole: [] as number[] }]));
for (let round = -10; round < rounds; round += 1) {
  for (const { name, port } of subjects) {
    const { greeting, whole } = await message(port);
    if (round < 0) continue; // warming up
    figures.get(name)?.greeting.push(greeting);
    figures.get(name)?.whole.push(whole);
  }
}
for (const step of ['greeting', 'whole'] as const) {
  const [before = 0, after = 1] = subjects.map(({ name }) => median(figures.get(name)?.[step] ?? []));
  console.log(
    `${step === 'greeting' ? 'connect to 220' : 'whole message '}: smtp-server ${before.toFixed(2)} ms, postern ${after.toFixed(2)} ms, ratio ${(before / after).toFixed(1)}`,
  );
}
await Promise.all(subjects.map((subject) => subject.close()));
