/**
 * A POP3 session on an IMAP server that says what a test tells it, without a network.
 *
 * @packageDocumentation
 */
import { Maildrop } from '../../../src/pop3-from-imap/maildrop.ts';
import { servePop3Transaction, type TransactionReport } from '../../../src/pop3-from-imap/transaction.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { pair, type ScriptedImap } from '../../support/scripted-imap.ts';

/** Say all lines at once, end, and give back what the session answered, as latin1. */
export async function talk(imap: ScriptedImap, ...lines: string[]): Promise<{ said: string; report: TransactionReport }> {
  const clock = new FakeClock();
  const maildrop = await Maildrop.open({ open: imap.open, clock });
  const [app, reader] = pair();
  let said = '';
  reader.on('data', (octets: Buffer) => (said += octets.toString('latin1')));
  reader.on('error', () => {});
  reader.end(lines.map((line) => `${line}\r\n`).join(''));
  const report = await servePop3Transaction({ app, ahead: Buffer.alloc(0), maildrop, clock });
  const over = new Promise((resolve) => reader.once('end', resolve));
  app.end();
  await over;
  return { said, report };
}
