/**
 * The sink of a rule.
 *
 * @packageDocumentation
 */
import type { SinkSettings } from '../../core/fetch-rule.ts';
import type { MessageSink } from '../../core/ports/message-sink.ts';
import { CommandSink } from './command-sink.ts';
import { DirectorySink } from './directory-sink.ts';
import { MailServerSink } from './mail-server-sink.ts';
import { MaildirSink } from './maildir-sink.ts';
import type { SinkParts } from './sink-parts.ts';

/** Opens nothing yet. */
export function openSink(settings: SinkSettings, parts: SinkParts): MessageSink {
  switch (settings.kind) {
    case 'maildir':
      return new MaildirSink(settings.path);
    case 'directory':
      return new DirectorySink(settings.path);
    case 'lmtp':
    case 'smtp':
      return new MailServerSink(settings, parts);
    case 'command':
      return new CommandSink(settings, parts);
    case 'webhook':
      throw new Error(`the configuration lets nobody use ${settings.kind} yet`);
    default:
      return settings satisfies never;
  }
}
