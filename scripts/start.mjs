/**
 * `npm start`: builds if needed, then runs `postern serve` in this same process.
 *
 * npm runs this through a shell, and hands a signal to that shell alone, which dies of it and leaves this process behind. So the end of the
 * parent counts as SIGTERM.
 */
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';

const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(watch);
  process.kill(process.pid, 'SIGTERM');
}, 200).unref();

await ensureBuilt();
const main = new URL('../dist/main.js', import.meta.url);
process.argv = [process.argv[0] ?? 'node', fileURLToPath(main), 'serve', ...process.argv.slice(2)];
await import(main.href);
