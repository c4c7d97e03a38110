/**
 * The mail server behind bench/mailboxes.ts, in a process of its own: IMAP over TLS for as many sessions as it is asked for, which Dovecot's processes, one for
 * each session, could not give on the same machine without being what is measured.
 *
 * Messages from the parent: `{ notify: N }` tells the Nth session that has IDLE open of new mail; `{ isCounting: true }` asks how many TLS handshakes there
 * were since the last such question, and how many of them resumed a session. To the parent: `{ port }` once, `{ idling }` on each IDLE, `{ handshakes, resumed }`.
 */
import { createServer, type TLSSocket } from 'node:tls';

const [certPem = '', keyPem = '', size = '0'] = process.argv.slice(2);
const BLOCK = Buffer.alloc(65_536, `${'x'.repeat(126)}\r\n`);
const idling: TLSSocket[] = [];
let handshakes = 0;
let resumed = 0;

/** A literal of `octets`, no faster than it is taken. */
async function sendMessage(socket: TLSSocket, tag: string, octets: number): Promise<void> {
  let wake = (): void => {};
  const goOn = (): void => wake();
  socket.on('drain', goOn).on('close', goOn);
  socket.write(`* 1 FETCH (BODY[] {${octets}}\r\n`);
  for (let sent = 0; sent < octets && !socket.destroyed; ) {
    const block = BLOCK.subarray(0, Math.min(BLOCK.length, octets - sent));
    sent += block.length;
    if (!socket.write(block)) await new Promise<void>((resolve) => (wake = resolve));
  }
  socket.off('drain', goOn).off('close', goOn);
  socket.write(`)\r\n${tag} OK done\r\n`);
}

function answer(socket: TLSSocket, line: string): void {
  const [tag = '*', verb = ''] = line.split(' ');
  switch (verb.toUpperCase()) {
    case 'AUTHENTICATE':
      socket.write(`${tag} OK [CAPABILITY IMAP4rev1 IDLE] signed in\r\n`);
      return;
    case 'IDLE':
      socket.write('+ idling\r\n');
      idling.push(socket);
      process.send?.({ idling: idling.length });
      return;
    case 'FETCH':
      void sendMessage(socket, tag, Number(size));
      return;
    default:
      socket.write(`${tag} OK done\r\n`);
  }
}

const server = createServer({ cert: certPem, key: keyPem }, (socket) => {
  handshakes += 1;
  if (socket.isSessionReused()) resumed += 1;
  let waiting = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    waiting += chunk.toString('latin1');
    const lines = waiting.split('\r\n');
    waiting = lines.pop() ?? '';
    for (const line of lines) answer(socket, line);
  });
  socket.write('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready\r\n');
});

process.on('message', ({ notify, isCounting }: { notify?: number; isCounting?: boolean }) => {
  if (notify !== undefined) idling[notify]?.write(`* ${notify + 2} EXISTS\r\n`);
  if (isCounting !== true) return;
  process.send?.({ handshakes, resumed });
  handshakes = 0;
  resumed = 0;
});
process.on('disconnect', () => process.exit());
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
