/**
 * Parts that several pages are made of.
 *
 * @packageDocumentation
 */
import type { Healing } from '../core/problem.ts';
import { type Child, h } from './dom.ts';
import type { ProblemDocument } from './server.ts';
import { WORDS } from './words.ts';

/** Looks of a badge. */
export type Tone = 'good' | 'waiting' | 'bad' | 'plain';

export const badge = (tone: Tone, text: string): HTMLElement => h('span', { class: `badge ${tone}` }, text);

/** A heading with what belongs to it. */
export function section(title: string, ...children: readonly Child[]): HTMLElement {
  return h('section', { class: 'card' }, h('h2', {}, title), ...children);
}

/** What of a problem is shown. */
export interface ShownProblem {
  readonly code: string;
  readonly cause: string;
  readonly heals: Healing;
  readonly remedy: string;
}

/** What happened and what to do. */
export function problemNote({ code, cause, heals, remedy }: ShownProblem): HTMLElement {
  return h(
    'div',
    { class: 'problem' },
    h('p', {}, cause, ' ', h('code', {}, code)),
    h('p', { class: 'quiet' }, `${WORDS.heals[heals]} `, h('strong', {}, WORDS.remedy), remedy),
  );
}

/** The same, for what the API has refused. */
export function refusalNote({ detail, code, remedy }: ProblemDocument): HTMLElement {
  return h('div', { class: 'problem', role: 'alert' }, h('p', {}, detail, ' ', h('code', {}, code)), h('p', { class: 'quiet' }, remedy));
}

/** A column's heading, and what it shows of a row. */
export interface Column<Row> {
  readonly title: Child;
  /** For narrow screens, where each cell says what it is; empty where it speaks for itself. */
  readonly label: string;
  readonly cell: (row: Row) => Child;
}

/** Rows under columns; on a narrow screen each row is a card of its own. */
export function table<Row>(caption: string, columns: readonly Column<Row>[], rows: readonly Row[], empty: string): HTMLElement {
  if (rows.length === 0) return h('p', { class: 'quiet' }, empty);
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', { class: 'unseen' }, caption),
      h('thead', {}, h('tr', {}, ...columns.map(({ title }) => h('th', { scope: 'col' }, title)))),
      h(
        'tbody',
        {},
        ...rows.map((row) => h('tr', {}, ...columns.map(({ label, cell }) => h('td', { 'data-label': label }, h('div', {}, cell(row)))))),
      ),
    ),
  );
}

/** Terms and what they are. */
export function facts(...pairs: readonly (readonly [string, Child] | undefined)[]): HTMLElement {
  const given = pairs.filter((pair) => pair !== undefined);
  return h('dl', { class: 'facts' }, ...given.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))));
}

/** A field with its label. */
export function field(label: string, control: HTMLElement): HTMLElement {
  return h('label', { class: 'field' }, h('span', {}, label), control);
}

/** A list to choose from; the values with their texts. */
export function choice(options: Readonly<Record<string, string>>, chosen: string, changed: (value: string) => void): HTMLSelectElement {
  const control = h(
    'select',
    {},
    ...Object.entries(options).map(([value, text]) => h('option', { value, selected: value === chosen }, text)),
  );
  control.addEventListener('change', () => changed(control.value));
  return control;
}

/** Addresses, the first few of them. */
export function addresses(all: readonly string[], most = 2): Child {
  if (all.length <= most) return all.map((address) => h('div', { class: 'address' }, address));
  return [...all.slice(0, most).map((address) => h('div', { class: 'address' }, address)), WORDS.messages.andMore(all.length - most)];
}

/** The null reverse-path is one, too. */
export const senderOf = (reversePath: string | undefined): string =>
  reversePath === undefined ? '' : reversePath === '' ? '<>' : reversePath;

/** A subject may be written from right to left, and turns nothing else around. */
export const subjectText = (subject: string | undefined): HTMLElement => h('bdi', { class: 'subject' }, subject);
