/** `npm run generate`: writes the files that are made from the source: JSON Schema, docs/config.md, docs/errors.md, docs/metrics.md, docs/logs.md,
 * docs/openapi.json, docs/clients. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderAll } from '../src/config/render-docs.ts';
import { renderLogFields } from '../src/observability/log-fields.ts';
import { renderMetrics } from '../src/observability/render-metrics.ts';
import { renderApiDescription } from './api-description.ts';
import { renderClientDocs } from './client-docs.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const [path, content] of Object.entries({
  ...renderAll(),
  ...renderClientDocs(),
  'docs/metrics.md': renderMetrics(),
  'docs/logs.md': renderLogFields(),
  'docs/openapi.json': renderApiDescription(),
})) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  console.log(path);
}
