/** Every dialogue of test/dialog/imap and pop3: as it stands, with each octet in a segment of its own, and inside TLS. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readMailboxDialog, runMailboxDialog } from '../support/mailbox-dialog.ts';

describe.each(['imap', 'pop3'] as const)('%s', (protocol) => {
  const folder = fileURLToPath(new URL(`${protocol}/`, import.meta.url));
  const files = readdirSync(folder).filter((name) => name.endsWith('.dialog'));
  describe.each(files)('%s', (name) => {
    const dialog = readMailboxDialog(protocol, `${folder}${name}`);
    test(`${dialog.title} (line by line)`, async () => {
      await expect(runMailboxDialog(dialog, 'whole')).resolves.toBeUndefined();
    });
    test(`${dialog.title} (octet by octet)`, async () => {
      await expect(runMailboxDialog(dialog, 'single octets')).resolves.toBeUndefined();
    });
    if (dialog.isClearText) return;
    test(`${dialog.title} (inside TLS)`, async () => {
      await expect(runMailboxDialog(dialog, 'whole', true)).resolves.toBeUndefined();
    });
  });
});
