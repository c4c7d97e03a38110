import { describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { dial } from '../../../src/platform/dial.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { streamContent } from '../../../src/upstream/content-stream.ts';
import { type Command, Dialogue } from '../../../src/upstream/dialogue.ts';
import { MemorySocket } from '../../support/memory-socket.ts';
import type { ScriptedServerOptions } from '../../support/scripted-smtp-server.ts';
import { onEnd, startServer } from './lab.ts';

const command = (line: string, endsGroup = false): Command => ({ line, stage: 'mail', deadline: seconds(10), endsGroup });

/** A dialogue after its greeting, in clear. */
async function greeted(script: ScriptedServerOptions['script'] = {}) {
  const server = await startServer({ script });
  const socket = await dial({ host: '127.0.0.1', port: server.port, tls: 'none', clock: systemClock });
  onEnd(async () => void socket.destroy());
  const dialogue = new Dialogue(socket, 'mail.test:587', systemClock, () => {});
  await dialogue.greeting(seconds(10));
  return { server, dialogue };
}

describe('a group of commands', () => {
  it('travels in one segment where the server allows it, up to the one that ends it', async () => {
    const { server, dialogue } = await greeted({ data: '503 5.5.1 No recipients' });
    dialogue.mayPipeline = true;
    const lines = ['MAIL FROM:<a@x>', 'RCPT TO:<b@x>', 'DATA', 'RSET', 'MAIL FROM:<c@x>'];
    const replies = await Promise.all(lines.map((line) => dialogue.send(command(line, line === 'DATA'))));
    expect(replies.map(({ code }) => code)).toEqual([250, 250, 503, 250, 250]);
    expect(server.sessions[0]?.batches).toEqual([
      ['MAIL FROM:<a@x>', 'RCPT TO:<b@x>', 'DATA'],
      ['RSET', 'MAIL FROM:<c@x>'],
    ]);
  });

  it('is one command without PIPELINING', async () => {
    const { server, dialogue } = await greeted();
    await Promise.all(['MAIL FROM:<a@x>', 'RCPT TO:<b@x>', 'RSET'].map((line) => dialogue.send(command(line))));
    expect(server.sessions[0]?.batches).toEqual([['MAIL FROM:<a@x>'], ['RCPT TO:<b@x>'], ['RSET']]);
  });
});

describe('a command', () => {
  it('that has not been written yet has no answer: one that comes ends the session, and nothing more is written', async () => {
    const socket = new MemorySocket();
    const dialogue = new Dialogue(socket.asSocket, 'mail.test:587', systemClock, () => {});
    dialogue.mayPipeline = true;
    const greeting = dialogue.greeting(seconds(10));
    socket.push('220 mail.test\r\n');
    await greeting;
    const written = dialogue.ask(command('EHLO a'));
    await new Promise((resolve) => void setImmediate(resolve));
    const unwritten = dialogue.ask(command('RSET'));
    socket.push('250 mail.test\r\n250 2.0.0 OK\r\n');
    expect(await written).toMatchObject({ code: 250 });
    expect(await unwritten).toMatchObject({ stage: 'mail', problem: { code: 'UPSTREAM_PROTOCOL' } });
    await dialogue.closed;
    expect(socket.written).toBe('EHLO a\r\n');
  });

  it.each(['MAIL FROM:<a@x>\r\nRCPT TO:<evil@x>', 'MAIL\n', 'MAIL\0', 'MAIL\x7f'])(
    'that is two, or has control characters, is not sent: %j',
    async (line) => {
      const { server, dialogue } = await greeted();
      await expect(dialogue.send(command(line))).rejects.toThrow('control character');
      await dialogue.send(command('RSET'));
      expect(server.sessions[0]?.lines).toEqual(['RSET']);
    },
  );

  it('after the end of the session is told of it', async () => {
    const { dialogue } = await greeted({ mail: 'close' });
    await expect(dialogue.send(command('MAIL FROM:<a@x>'))).rejects.toMatchObject({ problem: { code: 'UPSTREAM_LOST' } });
    await dialogue.closed;
    expect(dialogue.isOpen).toBe(false);
    await expect(dialogue.send(command('RSET'))).rejects.toMatchObject({ problem: { code: 'UPSTREAM_LOST' } });
  });
});

describe('content', () => {
  class CountingSocket extends MemorySocket {
    readonly pieces: string[] = [];

    override _write(chunk: Buffer, encoding: string, done: () => void): void {
      this.pieces.push(chunk.toString('latin1'));
      super._write(chunk, encoding, done);
    }

    override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
      this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', done);
    }
  }

  it('that is there already leaves together with its dot, and what has to be waited for does not wait for it', async () => {
    const socket = new CountingSocket();
    const dialogue = new Dialogue(socket.asSocket, 'mail.test:587', systemClock, () => {});
    const deadlines = { block: seconds(10), finalReply: seconds(10) };
    const answer = (): void => void socket.push('250 2.0.0 OK\r\n');
    const send = async (...chunks: (string | Promise<string>)[]): Promise<void> => {
      const sent = streamContent(
        dialogue,
        (async function* () {
          for (const chunk of chunks) yield Buffer.from(await chunk);
        })(),
        deadlines,
      );
      const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
      while (!dialogue.isDotSent) await turn();
      await turn(); // What a turn has to say leaves when it ends.
      answer();
      await sent;
    };
    await send('Subject: one\r\n', '\r\nhello\r\n');
    expect(socket.pieces).toEqual(['Subject: one\r\n\r\nhello\r\n.\r\n']);
    const late = new Promise<string>((resolve) => setImmediate(() => setImmediate(() => resolve('late\r\n'))));
    await send('early\r\n', late);
    expect(socket.pieces.slice(1)).toEqual(['early\r\n', 'late\r\n.\r\n']);
    dialogue.close();
  });
});
