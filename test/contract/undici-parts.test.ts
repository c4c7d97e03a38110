/**
 * Two files of undici are loaded by themselves (src/platform/http-agent.ts). This holds them against the version they were read in.
 *
 * It fails on purpose when the package is updated. Then: see in undici's index.js that `request` is still put on Dispatcher.prototype as it is, and that Agent needs
 * nothing else of it; run test/unit/token and test/unit/platform; then put the new version here.
 */
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import undici from 'undici';
import { expect, it } from 'vitest';
import { openHttpAgent } from '../../src/platform/http-agent.ts';

const parts = createRequire(import.meta.url);

it('is the version that was read', () => {
  expect((parts('undici/package.json') as { version: string }).version).toBe('7.30.2');
});

it('has the parts that its index puts together', () => {
  expect(parts('undici/lib/dispatcher/agent.js')).toBe(undici.Agent);
  expect(parts('undici/lib/api/api-request.js')).toBe(Reflect.get(undici.Agent.prototype, 'request'));
});

it('requests, and is destroyed', async () => {
  const server = createServer((request, response) => void request.resume().on('end', () => response.end('yes')));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const agent = await openHttpAgent({ connections: 1 });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { statusCode, body } = await agent.request({ origin, path: '/', method: 'GET' });
  expect([statusCode, await body.text()]).toEqual([200, 'yes']);
  await agent.destroy();
  await expect(agent.request({ origin, path: '/', method: 'GET' })).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' });
  server.close();
});
