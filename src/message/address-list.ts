/**
 * The mailboxes that a From or Sender field names.
 *
 * This decides whether a client may send a message, so it must never name fewer mailboxes than a reader downstream could see. A value that keeps to the
 * syntax names exactly what it says: display names, comments, routes and group names are no mailboxes, whatever they contain. For a value
 * that does not, everything in it that could be taken for an address is listed as well, with and without its comments and quotes: readers
 * repair such values in different ways.
 *
 * Pure; linear in the length of the value; no recursion. Encoded words (RFC 2047) are left as they are: they are atoms here.
 *
 * Source: RFC 5322 §3.4, obsolete forms §4.4; groups in From: RFC 6854.
 *
 * @packageDocumentation
 */
import { type AddressToken, tokenizeAddresses } from './address-tokens.ts';

/** What a field names. */
export interface AddressList {
  /** Each once, in order. The local part is quoted only where it has to be. Never empty where `isMalformed`, unless the value is. */
  readonly addresses: readonly string[];
  /** The value breaks the syntax, or names nobody without being a group. `addresses` then holds everything it could mean. */
  readonly isMalformed: boolean;
}

/** Read the value of a From or Sender field, unfolded. */
export function parseAddressList(value: string): AddressList {
  const plain = PLAIN.exec(value);
  if (plain !== null) return { addresses: [plain[1] ?? plain[2] ?? ''], isMalformed: false };
  const { tokens, isMalformed } = tokenizeAddresses(value);
  const parser = new ListParser();
  const isWellFormed = !isMalformed && tokens.every((token) => parser.take(token)) && parser.finish();
  if (isWellFormed) return { addresses: [...new Set(parser.addresses)], isMalformed: false };
  const candidates = [...parser.addresses, ...addressLike(value), ...addressLike(withoutQuotesAndComments(tokens))];
  const whole = value.trim();
  if (candidates.length === 0 && whole !== '') candidates.push(whole);
  return { addresses: [...new Set(candidates)], isMalformed: true };
}

/** One address without anything that would have to be read with care, by itself or behind a name of words: nearly every value. */
const PLAIN_ADDRESS = '[A-Za-z0-9_+-]+(?:\\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*';
const PLAIN = new RegExp(`^(?:(${PLAIN_ADDRESS})|[A-Za-z0-9 ]*<(${PLAIN_ADDRESS})>)$`);

/** Where in a list the parser is. `after-mailbox`: past `>` or the end of a group, where only a separator may follow. */
type Place = 'words' | 'angle' | 'after-mailbox';

/** Takes token after token; its methods return false at the first one that breaks the syntax. */
class ListParser {
  readonly addresses: string[] = [];
  #place: Place = 'words';
  #words: AddressToken[] = [];
  #isInGroup = false;
  #hasGroup = false;

  take(token: AddressToken): boolean {
    if (this.#place === 'angle') return this.#takeInAngle(token);
    switch (token.kind === 'special' ? token.text : '') {
      case ',':
        return this.#endMailbox();
      case '<':
        return this.#openAngle();
      case ':':
        return this.#openGroup();
      case ';':
        return this.#closeGroup();
      case '>':
        return false;
      default:
        this.#words.push(token);
        return this.#place === 'words';
    }
  }

  finish(): boolean {
    return this.#place !== 'angle' && this.#endMailbox() && !this.#isInGroup && (this.#hasGroup || this.addresses.length > 0);
  }

  /** RFC 5322 §3.4 `angle-addr`; §4.4 `obs-route`: domains with `@` before each and `:` at the end. */
  #takeInAngle(token: AddressToken): boolean {
    if (token.kind === 'special') {
      const isRoute = this.#words[0]?.text === '@' && this.#words[0].kind === 'special';
      if (token.text === '>') {
        this.#place = 'after-mailbox';
        return this.#addAddress();
      }
      if (token.text === ':') {
        if (!isRoute || !isRouteOf(this.#words)) return false;
        this.#words = [];
        return true;
      }
    }
    this.#words.push(token);
    return true;
  }

  #openAngle(): boolean {
    if (this.#place !== 'words' || !isPhrase(this.#words)) return false;
    this.#words = [];
    this.#place = 'angle';
    return true;
  }

  #openGroup(): boolean {
    if (this.#place !== 'words' || this.#isInGroup || this.#words.length === 0 || !isPhrase(this.#words)) return false;
    this.#words = [];
    this.#isInGroup = true;
    this.#hasGroup = true;
    return true;
  }

  #closeGroup(): boolean {
    if (!this.#isInGroup || !this.#endMailbox()) return false;
    this.#isInGroup = false;
    this.#place = 'after-mailbox';
    return true;
  }

  /** Empty members of a list are obsolete, not wrong (RFC 5322 §4.4). */
  #endMailbox(): boolean {
    const isGood = this.#place === 'after-mailbox' || this.#words.length === 0 || this.#addAddress();
    this.#place = 'words';
    return isGood;
  }

  #addAddress(): boolean {
    const address = readAddress(this.#words);
    this.#words = [];
    if (address !== undefined) this.addresses.push(address);
    return address !== undefined;
  }
}

const isSpecial = (token: AddressToken | undefined, text: string): boolean => token?.kind === 'special' && token.text === text;

/** A display name or group name; dots in it are obsolete, not wrong (RFC 5322 §4.1). */
function isPhrase(tokens: readonly AddressToken[]): boolean {
  return tokens.every((token) => token.kind === 'atom' || token.kind === 'quoted' || isSpecial(token, '.'));
}

/** `@domain,@domain`; domains are not looked into, since nothing is routed by them any more (RFC 5321 §3.6.1: SHOULD be ignored). */
function isRouteOf(tokens: readonly AddressToken[]): boolean {
  return tokens.every(({ kind, text }) => kind === 'atom' || kind === 'literal' || (kind === 'special' && '@.,'.includes(text)));
}

/** `local@domain`, or undefined where the tokens are no addr-spec (RFC 5322 §3.4.1; white space and comments between them are obsolete, not wrong). */
function readAddress(tokens: readonly AddressToken[]): string | undefined {
  const at = tokens.findIndex((token) => isSpecial(token, '@'));
  const local = tokens.slice(0, Math.max(0, at));
  const domain = tokens.slice(at + 1);
  const isLiteral = domain.length === 1 && domain[0]?.kind === 'literal';
  if (at === -1 || !isDotted(local, ['atom', 'quoted'])) return undefined;
  if (!isLiteral && !isDotted(domain, ['atom'])) return undefined;
  // Correct, but readers have been seen to take the quoted part for the address, and nobody has such a mailbox.
  if (local.some(({ text }) => text.includes('@'))) return undefined;
  return `${writeLocalPart(local)}@${domain.map(({ text }) => text).join('')}`;
}

/** Words of these kinds with one dot between each two. */
function isDotted(tokens: readonly AddressToken[], kinds: readonly AddressToken['kind'][]): boolean {
  return tokens.length % 2 === 1 && tokens.every((token, index) => (index % 2 === 0 ? kinds.includes(token.kind) : isSpecial(token, '.')));
}

/** Quotes that change nothing are left out, so that `"erp"@example.com` is seen to be `erp@example.com`. */
function writeLocalPart(tokens: readonly AddressToken[]): string {
  const text = tokens.map((token) => token.text).join('');
  return isDotAtom(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function isDotAtom(text: string): boolean {
  return text.split('.').every((atom) => atom !== '' && !/[\s()<>[\]:;@\\,"]/.test(atom));
}

/** The text that is left when a reader drops comments and quotes, and white space around dots and at signs. */
function withoutQuotesAndComments(tokens: readonly AddressToken[]): string {
  const isGlue = (token: AddressToken | undefined): boolean => isSpecial(token, '.') || isSpecial(token, '@');
  return tokens
    .map((token, index) => (token.isSpaced && !isGlue(token) && !isGlue(tokens[index - 1]) ? ` ${token.text}` : token.text))
    .join('');
}

/**
 * Whatever holds an at sign, up to the next white space or delimiter on either side. Where it holds several, each pair of neighbours is a
 * candidate too. One side may be empty: no policy allows such an address, and that is meant.
 */
function addressLike(text: string): string[] {
  return text.split(/[\s\p{Cc}()<>[\]:;\\,"]+/u).flatMap((run) => {
    const parts = run.split('@');
    const pairs = parts.slice(1).map((part, index) => `${parts[index] ?? ''}@${part}`);
    return parts.length > 2 ? [run, ...pairs] : pairs;
  });
}
