/**
 * The sink of a rule.
 *
 * @packageDocumentation
 */
import type { SinkSettings } from '../../core/fetch-rule.ts';
import type { MessageSink } from '../../core/ports/message-sink.ts';
import { openCommandSink } from './command-sink.ts';
import { DirectorySink } from './directory-sink.ts';
import { openLmtpSink, openSmtpSink } from './mail-server-sink.ts';
import { MaildirSink } from './maildir-sink.ts';
import type { SinkParts } from './sink-parts.ts';
import { openWebhookSink } from './webhook-sink.ts';

/** Opens nothing yet. */
export function openSink(settings: SinkSettings, parts: SinkParts): MessageSink {
  switch (settings.kind) {
    case 'maildir':
      return new MaildirSink(settings.path);
    case 'directory':
      return new DirectorySink(settings.path);
    case 'lmtp':
      return openLmtpSink({ ...settings, recipients: settings.to }, parts);
    case 'smtp':
      return openSmtpSink({ ...settings, recipients: settings.to }, parts);
    case 'webhook':
      return openWebhookSink(settings, parts);
    case 'command':
      return openCommandSink(settings, parts);
    default:
      return settings satisfies never;
  }
}
