/**
 * Settings of applications, ready to paste: what the page shows for a client, and what docs/clients holds, are rendered from these.
 *
 * Sources: the applications' own manuals.
 *
 * @packageDocumentation
 */
import type { Application } from './application.ts';
import { DEVICES } from './devices.ts';
import { PROGRAMS } from './programs.ts';
import { SERVERS } from './servers.ts';

/** In the order of the page. */
export const APPLICATIONS: readonly Application[] = [...DEVICES, ...SERVERS, ...PROGRAMS];
