import { expect, it } from 'vitest';
import { browserCommand } from '../../../src/platform/browser.ts';

const URL_TEXT = 'https://login.test/authorize?a=1&b=2';

it.each([
  ['darwin', {}, ['open', URL_TEXT]],
  ['win32', {}, ['rundll32', 'url.dll,FileProtocolHandler', URL_TEXT]],
  ['linux', { DISPLAY: ':0' }, ['xdg-open', URL_TEXT]],
  ['linux', { WAYLAND_DISPLAY: 'wayland-0' }, ['xdg-open', URL_TEXT]],
  ['linux', {}, undefined],
  ['linux', { DISPLAY: '' }, undefined],
  ['freebsd', { DISPLAY: ':0' }, ['xdg-open', URL_TEXT]],
] as const)('on %s with %j', (platform, env, command) => {
  expect(browserCommand(platform, env, URL_TEXT)).toEqual(command);
});
