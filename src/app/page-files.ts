/**
 * Finds the files of the admin page, which the build puts beside the program.
 *
 * @packageDocumentation
 */
import { existsSync, readFileSync } from 'node:fs';
import type { PageFile } from '../admin/page-routes.ts';

const FILES = [
  { path: '/', name: 'index.html', type: 'text/html; charset=utf-8' },
  { path: '/page.js', name: 'page.js', type: 'text/javascript; charset=utf-8' },
  { path: '/sign-in', name: 'guest.html', type: 'text/html; charset=utf-8' },
  { path: '/guest.js', name: 'guest.js', type: 'text/javascript; charset=utf-8' },
  { path: '/page.css', name: 'page.css', type: 'text/css; charset=utf-8' },
  { path: '/icon.svg', name: 'icon.svg', type: 'image/svg+xml' },
] as const;

/** From the bundle, and from the sources. */
const PLACES = ['./page/', '../../dist/page/'].map((place) => new URL(place, import.meta.url));

/** The page is part of the build; without it there is none, and the API is still there. */
export function readPage(): readonly PageFile[] {
  const place = PLACES.find((candidate) => existsSync(new URL('page.js', candidate)));
  if (place === undefined) return [];
  return FILES.map(({ path, name, type }) => ({ path, type, text: readFileSync(new URL(name, place), 'utf8') }));
}
