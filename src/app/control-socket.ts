/**
 * Where the control socket is.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';

/** The control socket of a configuration. */
export const controlSocket = ({ state }: Pick<Config, 'state'>): string => join(state.dir, 'control.sock');
