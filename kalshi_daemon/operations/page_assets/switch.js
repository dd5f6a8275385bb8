// Kill and unkill, each by a word that is typed.
import { Component } from "./vendor/preact.js";
import { html } from "./html.js";

const TEXTS = {
  kill: {
    open: "Kill…",
    title: "Kill: cancel everything, quote nothing",
    says: "Every resting order is cancelled and nothing new is sent until unkill. The daemon keeps running.",
  },
  unkill: {
    open: "Unkill…",
    title: "Unkill: let it quote again",
    says: "The kill switch is released. The daemon quotes again as soon as its guards allow.",
  },
};

export class Switch extends Component {
  constructor(props) {
    super(props);
    this.state = { word: "", problem: "", asked: "" };
  }

  get wanted() {
    return this.props.engaged ? "unkill" : "kill";
  }

  show() {
    this.setState({ word: "", problem: "", asked: this.wanted });
    this.dialog.showModal();
  }

  async send(event) {
    event.preventDefault();
    const word = this.state.asked;
    if (this.state.word !== word) return;
    try {
      const answer = await fetch(word, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ word }),
      });
      if (answer.ok) this.dialog.close();
      else this.setState({ problem: `Refused: ${await answer.text()}` });
    } catch {
      this.setState({ problem: "The daemon did not answer. On its machine: kalshi-daemon " + word });
    }
  }

  render({ engaged }, { word, problem, asked }) {
    const texts = TEXTS[asked || this.wanted];
    return html`
      <button type="button" class=${engaged ? "" : "danger"} onClick=${() => this.show()}>${TEXTS[this.wanted].open}</button>
      <dialog ref=${(found) => { this.dialog = found; }} aria-labelledby="switch-title">
        <form onSubmit=${(event) => this.send(event)}>
          <h2 id="switch-title">${texts.title}</h2>
          <p>${texts.says}</p>
          <label for="switch-word">Type <strong>${asked || this.wanted}</strong></label>
          <input id="switch-word" autocomplete="off" autocapitalize="none" spellcheck=${false} value=${word}
            onInput=${(event) => this.setState({ word: event.target.value })} />
          <p role="alert" class="bad">${problem}</p>
          <div class="buttons">
            <button type="button" onClick=${() => this.dialog.close()}>Leave it</button>
            <button type="submit" class="danger" disabled=${word !== asked}>${asked === "unkill" ? "Unkill" : "Kill"}</button>
          </div>
        </form>
      </dialog>`;
  }
}
