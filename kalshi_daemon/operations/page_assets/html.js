// One binding of htm to preact. Text goes through text nodes: nothing of the daemon's is ever read as markup.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);

/** A table that scrolls sideways by itself, reachable by keyboard. */
export const table = (name, heads, rows, empty) =>
  rows.length
    ? html`<div class="scroll" tabindex="0" role="group" aria-label=${name}>
        <table>
          <thead><tr>${heads.map((head) => {
            const [text, kind = ""] = Array.isArray(head) ? head : [head];
            return html`<th scope="col" class=${kind}>${text}</th>`;
          })}</tr></thead>
          <tbody>${rows}</tbody>
        </table>
      </div>`
    : html`<p class="empty">${empty}</p>`;

export const panel = (id, title, body, aside = null) => html`
  <section class="panel" id=${id} aria-labelledby=${`${id}-title`}>
    <header><h2 id=${`${id}-title`}>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</header>
    ${body}
  </section>`;

/** A coloured dot with its meaning in words beside it, or for a screen reader alone. */
export const dot = (kind, words = "") => html`<span class=${`dot ${kind}`} aria-hidden="true"></span>${words}`;
