/**
 * The sink of a rule.
 *
 * @packageDocumentation
 */
import type { SinkSettings } from '../../core/fetch-rule.ts';
import type { MessageSink } from '../../core/ports/message-sink.ts';
import { DirectorySink } from './directory-sink.ts';
import { MaildirSink } from './maildir-sink.ts';

/** Opens nothing yet. */
export function openSink(settings: SinkSettings): MessageSink {
  switch (settings.kind) {
    case 'maildir':
      return new MaildirSink(settings.path);
    case 'directory':
      return new DirectorySink(settings.path);
    default:
      throw new Error(`the configuration lets nobody use ${settings.kind} yet`);
  }
}
