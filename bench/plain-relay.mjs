/**
 * What a user would write in place of Postern: smtp-server in front, nodemailer's pool behind, with an access token that somebody else renews. It checks
 * nothing, logs nothing, keeps nothing, and takes a whole message into memory.
 *
 * Arguments: the upstream's port, connections to it, the file of its authority. To the parent: `{ port }`.
 */
import { readFileSync } from 'node:fs';
import nodemailer from 'nodemailer';
import { SMTPServer } from 'smtp-server';

const [upstreamPort = '0', connections = '0', caFile = ''] = process.argv.slice(2);

const pool = nodemailer.createTransport({
  pool: true,
  host: 'localhost',
  port: Number(upstreamPort),
  secure: false,
  requireTLS: true,
  maxConnections: Number(connections),
  maxMessages: Number.POSITIVE_INFINITY,
  auth: { type: 'OAuth2', user: 'bench@bench.test', accessToken: 'bench'.repeat(400) },
  tls: { ca: readFileSync(caFile) },
});

const server = new SMTPServer({
  authOptional: true,
  hideSTARTTLS: true,
  disableReverseLookup: true,
  size: 200 * 1024 * 1024,
  onData(stream, session, done) {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => {
      const { mailFrom, rcptTo } = session.envelope;
      pool.sendMail(
        {
          envelope: { from: mailFrom === false ? '' : mailFrom.address, to: rcptTo.map(({ address }) => address) },
          raw: Buffer.concat(chunks),
        },
        (error) => done(error ?? null, 'OK'),
      );
    });
  },
});

server.on('error', (error) => console.error(error.message));
server.listen(0, '127.0.0.1', () => process.send?.({ port: server.server.address().port }));
process.on('disconnect', () => process.exit());
