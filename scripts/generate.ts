/** `npm run generate`: writes the files that are made from the source: JSON Schema, docs/config.md, docs/errors.md. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderAll } from '../src/config/render-docs.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const [path, content] of Object.entries(renderAll())) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  console.log(path);
}
