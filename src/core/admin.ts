/**
 * What the admin port is opened with.
 *
 * Pure values.
 *
 * @packageDocumentation
 */
import type { PlainSecret } from './client.ts';

/** The admin port, as configured. */
export interface AdminSettings {
  /** `host:port`, for log lines. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls: 'off' | 'implicit';
  /** PEM texts; there where `tls` is not off. */
  readonly cert?: string;
  readonly key?: string;
  readonly minTls: 'TLSv1.2' | 'TLSv1.3';
  /** Undefined on loopback only. */
  readonly secret?: PlainSecret;
  /** Names under which it may be reached, besides addresses, `localhost` and the name of the machine. Lower case. */
  readonly hostnames: readonly string[];
}
