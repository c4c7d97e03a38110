/**
 * Builds elements. Texts become text nodes and never markup, so a hostile string is a string wherever it is shown.
 *
 * @packageDocumentation
 */

/** What an element may contain. */
export type Child = Node | string | number | undefined | false | readonly Child[];

/** Attributes; a listener is named `onclick` and the like. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined | ((event: Event) => void)>>;

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  fill(element, attributes, children);
  return element;
}

/** An SVG element. */
export function svg(name: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  const element = document.createElementNS(SVG, name);
  fill(element, attributes, children);
  return element;
}

/** Put `children` in place of what is there. */
export function replace(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren(...nodesOf(children));
}

const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex]';

let drawing: Promise<void> = Promise.resolve();

/**
 * Draw what is below `place` anew; whoever works with the keyboard goes on where they were.
 *
 * One after another: a drawing that begins in the middle of another would find the focus nowhere, and leave it there.
 */
export function keepingFocus(place: Element, draw: () => Promise<void>): Promise<void> {
  const drawn = drawing.then(() => drawKeepingFocus(place, draw));
  drawing = drawn.catch(() => undefined); // Told to whoever asked for it.
  return drawn;
}

async function drawKeepingFocus(place: Element, draw: () => Promise<void>): Promise<void> {
  let before: { readonly element: HTMLElement; readonly index: number } | undefined;
  // What is drawn is asked for first, and meanwhile the focus may move.
  const note = (): void => {
    const all = focusable(place);
    const index = all.findIndex((one) => one === document.activeElement);
    const element = all[index];
    if (element !== undefined) before = { element, index };
  };
  note();
  document.addEventListener('focusin', note);
  await draw().finally(() => document.removeEventListener('focusin', note));
  if (before === undefined || document.activeElement !== document.body) return;
  focusLike(before.element, place, before.index);
}

/** Focus what took the place of `element`: the one that looks alike, best the one at its index. */
export function focusLike(element: HTMLElement, place: Element, index = -1): void {
  const now = focusable(place);
  const looksAlike = (one: HTMLElement | undefined): boolean => one?.tagName === element.tagName && identityOf(one) === identityOf(element);
  const same = looksAlike(now[index]) ? now[index] : now.find(looksAlike);
  same?.focus({ preventScroll: true });
}

/** What says different things at different times, or the same as another, has a name of its own. */
const identityOf = ({ dataset, textContent }: HTMLElement): string => dataset['same'] ?? textContent;

const focusable = (place: Element): HTMLElement[] => [...place.querySelectorAll<HTMLElement>(FOCUSABLE)];

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, safe(name, String(value)));
  }
  element.append(...nodesOf(children));
}

/** An address leads to this page or to the web, and is never a script. */
function safe(name: string, value: string): string {
  if (name !== 'href' && name !== 'src') return value;
  return /^(#|\/(?!\/)|https?:\/\/)/.test(value) ? value : '#';
}

function nodesOf(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) => {
    if (child === undefined || child === false) return [];
    if (isList(child)) return nodesOf(child);
    return [child instanceof Node ? child : String(child)];
  });
}

const isList = (child: Child): child is readonly Child[] => Array.isArray(child);
