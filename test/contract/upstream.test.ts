import { seconds } from '../../src/core/clock.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { SessionPool } from '../../src/upstream/session-pool.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryTokenSource } from '../support/memory-token-source.ts';
import { type ScriptAnswer, ScriptedSmtpServer } from '../support/scripted-smtp-server.ts';
import { createTestAuthority } from '../support/test-ca.ts';
import { upstreamContract } from './upstream.ts';

const authority = createTestAuthority();
const certificate = authority.issue({ hosts: ['localhost'] });

for (const tls of ['starttls', 'implicit'] as const) {
  upstreamContract(`session pool, ${tls}`, async () => {
    const server = await ScriptedSmtpServer.start({ certificate, isImplicit: tls === 'implicit' });
    const provider = testProvider({ ca: authority.caPem, smtp: { host: 'localhost', port: server.port, tls } });
    const dependencies = { tokens: new MemoryTokenSource(), clock: systemClock, log: new MemoryLog(), hostname: 'relay.test' };
    const upstream = new SessionPool(dependencies);
    return {
      upstream,
      account: testAccount({ provider }),
      answer: (step, line) => void (server.script[step] = line as ScriptAnswer),
      delivered: () => server.messages.map(String),
      close: async () => {
        await upstream.close(seconds(1));
        await server.close();
      },
    };
  });
}
