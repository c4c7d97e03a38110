/**
 * The far end for {@link ./vanishing-network.ts}, in a network of its own: an SMTP server that takes a message and says nothing to its dot, and an IMAP server, both at
 * the address that is going to vanish. Prints `READY`, and ports and CA as JSON.
 *
 * Argument: the address.
 *
 * @packageDocumentation
 */
import { setInterval } from 'node:timers';
import { FaultProxy } from './fault-proxy.ts';
import { imapScript, ScriptedLineServer } from './scripted-line-server.ts';
import { ScriptedSmtpServer } from './scripted-smtp-server.ts';
import { createTestAuthority } from './test-ca.ts';

const [, , address = ''] = process.argv;
const authority = createTestAuthority();
const certificate = authority.issue({ hosts: [address] });
const smtp = await ScriptedSmtpServer.start({ certificate, script: { content: 'silence' } });
const imap = await ScriptedLineServer.start(() => imapScript(), certificate);
const [smtpPort, imapPort] = await Promise.all([smtp.port, imap.port].map(async (port) => (await FaultProxy.open(port, address)).port));
process.stdout.write(`READY ${JSON.stringify({ smtpPort, imapPort, caPem: authority.caPem })}\n`);
setInterval(() => undefined, 60_000); // Until it is killed.
