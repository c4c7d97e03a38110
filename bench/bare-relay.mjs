/**
 * What Node itself costs: the least script that relays as Postern does, so that what is measured beside it is what Postern adds, and what no Node program can save.
 *
 * The same octets on both sides: commands of the application are answered at once, one by one; content is kept until it is whole, then a warm session (STARTTLS, XOAUTH2)
 * gets MAIL, RCPT and DATA in one write and the content in the next. Nothing is checked, logged, limited, kept or tried again; no application in service could use it.
 *
 * Arguments: the upstream's port, connections to it, the file of its authority. To the parent: `{ port }`.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';

const [upstreamPort = '0', connections = '0', caFile = ''] = process.argv.slice(2);
const secureContext = createSecureContext({ ca: readFileSync(caFile) });
const xoauth2 = Buffer.from(`user=bench@bench.test\u0001auth=Bearer ${'bench'.repeat(400)}\u0001\u0001`).toString('base64');

/** Sessions without a message, and messages without a session. */
const idle = [];
const waiting = [];
let open = 0;

function relay(message) {
  const session = idle.pop();
  if (session !== undefined) return session(message);
  waiting.push(message);
  if (open < Number(connections)) openSession();
}

function openSession() {
  open += 1;
  const steps = ['EHLO bare.test\r\n', 'STARTTLS\r\n', undefined, `AUTH XOAUTH2 ${xoauth2}\r\n`];
  let socket = connect({ port: Number(upstreamPort), host: '127.0.0.1', noDelay: true });
  let message;
  let replies = 0;
  const begin = (next) => {
    message = next;
    if (next === undefined) idle.push(begin);
    else socket.write(next.commands, 'latin1');
  };
  const read = (octets) => {
    if (message !== undefined) {
      for (const octet of octets) if (octet === 0x0a) replies += 1;
      if (replies === message.recipients + 2) socket.write(message.content);
      if (replies < message.recipients + 3) return;
      replies = 0;
      message.answer('250 2.0.0 OK\r\n');
      return begin(waiting.shift());
    }
    if (!/^\d{3} .*\r\n$/m.test(octets.toString('latin1'))) return;
    const step = steps.shift();
    if (step !== undefined) return void socket.write(step, 'latin1');
    if (socket.encrypted) return begin(waiting.shift());
    socket.off('data', read);
    socket = connectTls({ socket, secureContext, servername: 'localhost' }, () => socket.write('EHLO bare.test\r\n'));
    listen();
  };
  const listen = () => socket.on('data', read).on('error', (error) => console.error(error.message));
  listen();
}

const server = createServer({ noDelay: true }, (socket) => {
  let commands = '';
  let recipients = 0;
  let content;
  const answer = (text) => void socket.write(text, 'latin1');
  socket.on('error', () => socket.destroy());
  socket.on('data', (octets) => {
    if (content !== undefined) {
      content = content.length === 0 ? octets : Buffer.concat([content, octets]);
      if (content.indexOf('\r\n.\r\n', content.length - 5, 'latin1') === -1) return;
      relay({ commands: `${commands}DATA\r\n`, recipients, content, answer });
      content = undefined;
      return;
    }
    const line = octets.toString('latin1');
    switch (line.slice(0, 4)) {
      case 'MAIL':
        commands = line;
        recipients = 0;
        return answer('250 2.1.0 OK\r\n');
      case 'RCPT':
        commands += line;
        recipients += 1;
        return answer('250 2.1.5 OK\r\n');
      case 'DATA':
        content = Buffer.alloc(0);
        return answer('354 Go ahead\r\n');
      case 'QUIT':
        return void socket.end('221 2.0.0 Bye\r\n');
      default:
        return answer('250 bare.test\r\n');
    }
  });
  answer('220 bare.test ESMTP\r\n');
});
server.listen(0, '127.0.0.1', 1024, () => process.send?.({ port: server.address().port }));
process.on('disconnect', () => process.exit());
