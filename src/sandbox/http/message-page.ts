/**
 * The page at `/`: what has arrived, newest first. Everything in it comes from strangers and is escaped.
 *
 * @packageDocumentation
 */
import type { ReceivedMessage, ReceivedMessages } from '../received-messages.ts';
import type { HttpAnswer } from './answer.ts';
import { type Html, html, page } from './html.ts';

const MOST_SHOWN = 200;
const REFRESH_SECONDS = 5;

export function messagePage(messages: ReceivedMessages): HttpAnswer {
  const all = messages.list();
  const shown = all.slice(-MOST_SHOWN).toReversed();
  const body =
    shown.length === 0
      ? html`<p>No message has arrived yet. This page looks again every ${REFRESH_SECONDS} seconds.</p>`
      : html`<p>${all.length} message(s) arrived; the newest come first. The page looks again every ${REFRESH_SECONDS} seconds.</p>
<table><thead><tr><th scope="col">Received</th><th scope="col">Signed in as</th><th scope="col">From</th><th scope="col">To</th>
<th scope="col">Subject</th><th scope="col">Size</th><th scope="col">Content</th></tr></thead>
<tbody>${shown.map((message) => row(message, messages.content(message.id) !== undefined))}</tbody></table>`;
  return page('Messages the sandbox received', body, { refreshSeconds: REFRESH_SECONDS });
}

function row(message: ReceivedMessage, hasContent: boolean): Html {
  const link = hasContent ? html`<a href="/messages/${encodeURIComponent(message.id)}/raw">raw</a>` : html`made room for newer ones`;
  const time = new Date(message.receivedAt).toISOString();
  const user = `${message.user} (XOAUTH2${message.isApplication ? ', application' : ''})`;
  const recipients = message.forwardPaths.map(({ address }) => address);
  return html`<tr><td><time datetime="${time}">${time.replace('T', ' ').slice(0, 19)}</time></td><td>${user}</td>
<td>${message.from}<br>envelope: ${message.reversePath === '' ? '<>' : message.reversePath}</td>
<td>${message.to}<br>envelope: ${shorten(recipients)}</td><td>${message.subject}</td><td>${message.size}</td><td>${link}</td></tr>
`;
}

function shorten(addresses: readonly string[]): string {
  const shown = addresses.slice(0, 5).join(', ');
  return addresses.length > 5 ? `${shown} and ${addresses.length - 5} more` : shown;
}
