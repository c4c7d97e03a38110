/** Every dialogue of test/dialog/smtp, as it stands and with each octet in a segment of its own. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readDialog, runDialog } from '../support/dialog.ts';

const folder = fileURLToPath(new URL('smtp/', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.dialog'));

describe.each(files)('%s', (name) => {
  const dialog = readDialog(`${folder}${name}`);
  test(`${dialog.title} (line by line)`, async () => {
    await expect(runDialog(dialog, 'whole')).resolves.toBeUndefined();
  });
  test(`${dialog.title} (octet by octet)`, async () => {
    await expect(runDialog(dialog, 'single octets')).resolves.toBeUndefined();
  });
});
